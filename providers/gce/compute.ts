/** The connection to Compute Engine: loaded and opened at the first call, one attempt a call, every failure in our own words. */
import type * as z from 'zod';
import type { Clock } from '../../src/core/clock.ts';
import { withDeadline } from '../../src/core/deadline.ts';
import type { CallOptions, ClientOptions } from './clients.mjs';
import { Credentials, scope } from './credentials.ts';
import { endpointOf } from './endpoint.ts';
import { type CallContext, failure, translateError } from './errors.ts';
import type { Environment } from './metadata.ts';
import { Transport } from './transport.ts';

type Sdk = typeof import('./clients.mjs');
type ClientName = keyof Sdk;

export interface ComputeOptions {
  readonly environment: Environment;
  readonly clock: Clock;
}

/** What a call sends by: a client of any kind, made when first asked for. */
export type ClientOf = <Name extends ClientName>(name: Name) => InstanceType<Sdk[Name]>;

/** Milliseconds for one whole answer. A page of 500 instances takes a few seconds. */
const readTimeoutMs = 30_000;
/** Milliseconds for all pages of a list that the SDK walks by itself. */
export const listTimeoutMs = 100_000;

export class Compute {
  readonly #options: ComputeOptions;
  readonly #clients = new Map<ClientName, InstanceType<Sdk[ClientName]>>();
  #loading: Promise<Sdk> | undefined;
  #transport: Transport | undefined;

  constructor(options: ComputeOptions) {
    this.#options = options;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get environment(): Environment {
    return this.#options.environment;
  }

  /**
   * Runs one request. `ms`: how long it may take; an answer's time when absent.
   *
   * @throws FlannelVpcError as `translateError` has it; an AbortError when the signal was fired by its owner.
   */
  async call<Output>(
    context: CallContext,
    signal: AbortSignal,
    run: (client: ClientOf, options: CallOptions) => Promise<Output>,
    ms = readTimeoutMs,
  ): Promise<Output> {
    const error = () => new DOMException(`no answer within ${ms / 1_000} s`, 'TimeoutError');
    const deadline = { clock: this.clock, ms, signal, error };
    return await withDeadline(deadline, async (inner) => {
      try {
        inner.throwIfAborted();
        this.#loading ??= loadSdk();
        const sdk = await this.#loading;
        inner.throwIfAborted();
        const clientOf = this.#opener(sdk);
        // The SDK's own timer is but a net: it runs by the machine's clock.
        return await run(clientOf, { retry: null, timeout: 2 * readTimeoutMs, signal: inner });
      } catch (cause) {
        throw translateError(cause, context, inner, this.clock);
      }
    });
  }

  close(): void {
    for (const client of this.#clients.values()) void client.close().catch(() => {});
    this.#clients.clear();
    this.#transport?.close();
    this.#transport = undefined;
  }

  #opener(sdk: Sdk): ClientOf {
    this.#transport ??= new Transport(
      new Credentials({
        ...this.#options,
        fromContent: async (content, scope) => {
          const { auth } = new sdk.RoutesClient({ scopes: [scope] });
          return withoutWarnings(() => auth.fromJSON(content));
        },
      }),
      this.environment,
    );
    const options: ClientOptions = { ...endpointOf(this.environment), authClient: this.#transport, scopes: [scope] };
    return <Name extends ClientName>(name: Name) => {
      const known = this.#clients.get(name) ?? new sdk[name](options);
      this.#clients.set(name, known);
      return known as InstanceType<Sdk[Name]>;
    };
  }
}

/** Without what would make Google's libraries print whole requests and answers, those with access tokens among them. */
async function loadSdk(): Promise<Sdk> {
  delete process.env['GOOGLE_SDK_NODE_LOGGING'];
  return await import('./clients.mjs');
}

/** Google's library warns by the console that files of credentials can't be trusted; this one the operator has named. */
function withoutWarnings<T>(run: () => T): T {
  const { warn } = console;
  console.warn = () => {};
  try {
    return run();
  } finally {
    console.warn = warn;
  }
}

/** What an answer must be. @throws TRANSIENT: an answer that is not what Google sends came from something on the way. */
export function parsed<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  context: CallContext,
): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue ? ` (${[issue.path.join('.'), issue.message].filter(Boolean).join(': ')})` : '';
  throw failure('TRANSIENT', context, `the answer is not what Google sends${where}`);
}
