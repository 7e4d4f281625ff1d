/** Stands before a real API server: passes requests on as its administrator, counts them, and answers some itself when told to. */
import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { request as send } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { KubeApiserver } from '../fabric/kube-apiserver.ts';

export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** `cut` ends the connection, `lose` passes the request on and the answer not, `silent` never answers. */
export type Interference =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | 'cut'
  | 'lose'
  | 'silent';

export interface Gateway {
  /** http://127.0.0.1:… */
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** Those that change something. */
  writes(): readonly SeenRequest[];
  forget(): void;
  /** Asked for each request from now on; undefined passes it on. */
  interfere(how: ((request: SeenRequest) => Interference | undefined) | undefined): void;
  /** Ends all watches and other connections. */
  cutAll(): void;
  close(): Promise<void>;
}

export async function startGateway(server: KubeApiserver): Promise<Gateway> {
  const { certificate } = server.administrator;
  if (!certificate) throw new Error('the administrator has no certificate');
  const tls = {
    ca: await readFile(server.caFile),
    cert: await readFile(certificate.certFile),
    key: await readFile(certificate.keyFile),
  };
  const requests: SeenRequest[] = [];
  let interference: ((request: SeenRequest) => Interference | undefined) | undefined;

  function pass(seen: SeenRequest, response: ServerResponse, isLost: boolean): void {
    const { 'content-type': type = 'application/json' } = seen.headers;
    const upstream = send(
      new URL(seen.path, server.url),
      {
        ...tls,
        agent: false,
        method: seen.method,
        headers: {
          accept: 'application/json',
          ...(seen.body && { 'content-type': String(type), 'content-length': Buffer.byteLength(seen.body) }),
        },
      },
      (answer) => {
        if (isLost) {
          answer.resume();
          answer.once('end', () => response.socket?.destroy());
          return;
        }
        response.writeHead(answer.statusCode ?? 502, { 'content-type': 'application/json' });
        response.flushHeaders();
        answer.pipe(response);
        answer.once('error', () => response.destroy());
      },
    );
    upstream.once('error', () => response.socket?.destroy());
    response.once('close', () => upstream.destroy());
    upstream.end(seen.body);
  }

  const http = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.once('end', () => {
      const { method = '', url: path = '', headers } = request;
      const seen = { method, path, headers, body: Buffer.concat(parts).toString() };
      requests.push(seen);
      const how = interference?.(seen);
      if (how === 'silent') return;
      if (how === 'cut') request.socket.destroy();
      else if (how === undefined || how === 'lose') pass(seen, response, how === 'lose');
      else response.writeHead(how.status, { 'content-type': 'application/json', ...how.headers }).end(how.body);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    requests,
    writes: () => requests.filter(({ method }) => method !== 'GET'),
    forget() {
      requests.length = 0;
    },
    interfere(how) {
      interference = how;
    },
    cutAll() {
      http.closeAllConnections();
    },
    async close() {
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeAllConnections();
      await closed;
    },
  };
}
