/** A real Chromium without a window, driven by its DevTools protocol, with witnesses of all that its pages ask for and complain of. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { openDevTools } from './dev-tools.ts';
import { start } from './process.ts';
import { chromiumBinary } from './tools.ts';

/** What keeps it from looking for its maker's servers, and lets root start it in a machine without a screen. */
const quiet = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--hide-scrollbars'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
];

export interface Page {
  goto(url: string): Promise<void>;
  /** The value of a JavaScript expression in the page, or of the promise that it is. @throws Error when it throws. */
  evaluate(expression: string): Promise<unknown>;
  /** Waits until the expression is true. @throws Error with what the page shows when that does not come. */
  waitFor(expression: string, timeoutMs?: number): Promise<void>;
  /** Types into what has the focus. */
  type(text: string): Promise<void>;
  press(key: 'Enter' | 'Tab'): Promise<void>;
  /** Size in CSS pixels, and the colours that the reader prefers. */
  look(options: { readonly width: number; readonly height: number; readonly colours: 'light' | 'dark' }): Promise<void>;
  /** The whole page as PNG. */
  screenshot(): Promise<Buffer>;
  /** Console errors, uncaught exceptions, and what the browser itself complains of. */
  readonly errors: readonly string[];
  /** Address of everything that was asked for, by whatever. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export interface Browser {
  open(options?: { readonly scripts?: boolean }): Promise<Page>;
  close(): Promise<void>;
}

const evaluated = z.object({
  result: z.object({ value: z.unknown().optional() }),
  exceptionDetails: z
    .object({ text: z.string(), exception: z.object({ description: z.string() }).partial() })
    .optional(),
});
const logEntry = z.object({ entry: z.object({ level: z.string(), text: z.string(), url: z.string().optional() }) });
const thrown = z.object({ exceptionDetails: z.object({ text: z.string() }) });
const consoleCall = z.object({
  type: z.string(),
  args: z.array(z.object({ value: z.unknown().optional(), description: z.string() }).partial()),
});
const requested = z.object({ request: z.object({ url: z.string() }) });
const keyCodes = { Enter: 13, Tab: 9 } as const;

/** Starts it. @throws Error that names the command to run when it is not installed. */
export async function startBrowser(): Promise<Browser> {
  const folder = await mkdtemp(join(tmpdir(), 'chromium-'));
  const binary = await chromiumBinary();
  const program = start([binary, ...quiet, `--user-data-dir=${folder}`, '--remote-debugging-port=0', 'about:blank']);
  const [, address = ''] = await program.waitForLog(/DevTools listening on (ws:\S+)/, 60_000);
  const devTools = await openDevTools(address);

  async function open({ scripts = true }: { readonly scripts?: boolean } = {}): Promise<Page> {
    const created = await devTools.send('Target.createTarget', { url: 'about:blank' });
    const { targetId } = z.object({ targetId: z.string() }).parse(created);
    const attached = await devTools.send('Target.attachToTarget', { targetId, flatten: true });
    const { sessionId } = z.object({ sessionId: z.string() }).parse(attached);
    const send = (method: string, parameters = {}): Promise<unknown> => devTools.send(method, parameters, sessionId);
    const errors: string[] = [];
    const requests: string[] = [];
    devTools.onEvent(sessionId, (method, parameters) => {
      if (method === 'Network.requestWillBeSent') requests.push(requested.parse(parameters).request.url);
      if (method === 'Runtime.exceptionThrown') errors.push(thrown.parse(parameters).exceptionDetails.text);
      if (method === 'Log.entryAdded') {
        const { level, text, url = '' } = logEntry.parse(parameters).entry;
        if (level === 'error') errors.push(`${text} ${url}`);
      }
      if (method === 'Runtime.consoleAPICalled') {
        const { type, args } = consoleCall.parse(parameters);
        if (type === 'error') errors.push(args.map(({ value, description }) => String(value ?? description)).join(' '));
      }
    });
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
    await send('Emulation.setScriptExecutionDisabled', { value: !scripts });

    async function evaluate(expression: string): Promise<unknown> {
      const parameters = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = evaluated.parse(await send('Runtime.evaluate', parameters));
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    }

    async function waitFor(expression: string, timeoutMs = 30_000): Promise<void> {
      const until = performance.now() + timeoutMs;
      // A page that is just being exchanged for another has no context to ask in.
      while (!(await evaluate(expression).catch(() => false))) {
        if (performance.now() > until) {
          const shown = await evaluate('document.body.innerText').catch(String);
          throw new Error(`no ${expression} within ${timeoutMs} ms; the page shows:\n${shown}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }

    return {
      errors,
      requests,
      evaluate,
      waitFor,
      async goto(url) {
        await send('Page.navigate', { url });
        await waitFor(`location.href !== 'about:blank' && document.readyState === 'complete'`);
      },
      async type(text) {
        await send('Input.insertText', { text });
      },
      async press(key) {
        const code = {
          key,
          code: key,
          windowsVirtualKeyCode: keyCodes[key],
          ...(key === 'Enter' ? { text: '\r' } : {}),
        };
        await send('Input.dispatchKeyEvent', { type: 'keyDown', ...code });
        await send('Input.dispatchKeyEvent', { type: 'keyUp', ...code });
      },
      async look({ width, height, colours }) {
        await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
        await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: colours }] });
      },
      async screenshot() {
        const taken = await send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
        return Buffer.from(z.object({ data: z.string() }).parse(taken).data, 'base64');
      },
      async close() {
        await devTools.send('Target.closeTarget', { targetId });
      },
    };
  }

  return {
    open,
    async close() {
      devTools.close();
      await program.kill('SIGKILL');
      // Its helpers may write for a moment longer.
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}
