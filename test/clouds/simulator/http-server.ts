/** The HTTP server under every simulator: whole requests in, whole answers out. Knows no cloud. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface SimulatorRequest {
  /** In capitals. */
  readonly method: string;
  /** With path and query as they came, percent-encoded, on the server's own origin. */
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface SimulatorAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A text is sent as it is, without a content-type of ours. Anything else is sent as JSON. */
  readonly body?: unknown;
}

/** `cut`: the connection ends without an answer. */
export type Reply = SimulatorAnswer | 'cut';

export interface HttpServerOptions {
  /** Default 127.0.0.1. */
  readonly address?: string | undefined;
  /** Default a free one. */
  readonly port?: number | undefined;
  /** Largest body in bytes; what is larger is answered with a bare 413. Default 1 MiB. */
  readonly bodyLimit?: number | undefined;
  /** PEM texts; plain HTTP when absent. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Must not throw: what it throws is a fault of the rig, told on stderr and answered with 599. */
  readonly handle: (request: SimulatorRequest) => Promise<Reply>;
}

export interface HttpServer {
  /** Such as `http://127.0.0.1:4711`, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { address = '127.0.0.1', port = 0, bodyLimit = 1 << 20, tls, handle } = options;
  const scheme = tls ? 'https' : 'http';
  const listener = (message: IncomingMessage, response: ServerResponse) => void serve(message, response);
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    let reply: Reply;
    try {
      const body = await bodyOf(message, bodyLimit);
      // A client that went away while it sent asks for nothing.
      if (body === 'gone') return;
      const url = new URL(message.url ?? '/', `${scheme}://${message.headers.host ?? address}`);
      const { method = 'GET', headers } = message;
      reply = body === 'too long' ? { status: 413 } : await handle({ method, url, headers, body: body.text });
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.stderr.write(`simulator: ${text}\n`);
      reply = { status: 599, body: `the rig is broken: ${text}` };
    }
    if (reply === 'cut') {
      message.socket.destroy();
      return;
    }
    const { status, headers, body = '' } = reply;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const type = typeof body === 'string' ? {} : { 'content-type': 'application/json; charset=utf-8' };
    // These have no body, and a length of one would confuse clients.
    const length = status === 204 || status === 304 ? {} : { 'content-length': String(Buffer.byteLength(text)) };
    response.writeHead(status, { ...type, ...length, ...headers });
    response.end(status === 204 || status === 304 ? undefined : text);
  }

  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(port, address, listening.resolve);
  await listening.promise;
  const bound = server.address() as AddressInfo;
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return {
    url: `${scheme}://${host}:${bound.port}`,
    port: bound.port,
    async stop() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

async function bodyOf(message: IncomingMessage, limit: number): Promise<{ text: string } | 'too long' | 'gone'> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of message) {
      size += (part as Buffer).length;
      if (size <= limit) parts.push(part as Buffer);
    }
  } catch {
    return 'gone';
  }
  return size > limit ? 'too long' : { text: Buffer.concat(parts).toString('utf8') };
}
