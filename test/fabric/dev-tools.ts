/** Chromium's DevTools protocol: commands with answers, and events, over one WebSocket. */
import * as z from 'zod';

export interface DevTools {
  /** Sends a command, to the browser or to one of its pages, and gives its answer. @throws Error with what it says is wrong. */
  send(method: string, parameters: object, sessionId?: string): Promise<unknown>;
  onEvent(sessionId: string, listener: (method: string, parameters: unknown) => void): void;
  close(): void;
}

const message = z.object({
  id: z.number().optional(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string() }).optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  sessionId: z.string().optional(),
});

/** Longest wait for an answer, milliseconds. */
const answerMs = 30_000;

/** Connects. */
export async function openDevTools(address: string): Promise<DevTools> {
  const socket = new WebSocket(address);
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const listeners = new Map<string, (method: string, parameters: unknown) => void>();
  let sent = 0;
  const opened = Promise.withResolvers<void>();
  socket.addEventListener('open', () => opened.resolve());
  socket.addEventListener('error', () => opened.reject(new Error(`can't connect to ${address}`)));
  socket.addEventListener('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('the browser has ended'));
  });
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error, method, params, sessionId } = message.parse(JSON.parse(String(data)));
    if (id === undefined) {
      if (method && sessionId) listeners.get(sessionId)?.(method, params);
      return;
    }
    if (error) waiting.get(id)?.reject(new Error(error.message));
    else waiting.get(id)?.resolve(result);
  });
  await opened.promise;
  return {
    async send(method, params, sessionId) {
      const id = ++sent;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(id, answer);
      const timer = setTimeout(() => answer.reject(new Error(`the browser does not answer ${method}`)), answerMs);
      socket.send(JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) }));
      try {
        return await answer.promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(id);
      }
    },
    onEvent: (sessionId, listener) => void listeners.set(sessionId, listener),
    close: () => socket.close(),
  };
}
