/**
 * A hostile server in front of honest ones: it hands requests on and answers back, but for the one that is struck. Whoever is sent
 * elsewhere by it ends up at the stranger's, where nobody may come.
 */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HonestAnswer, Hostility } from './hostility.ts';
import { send } from './sending.ts';

export interface Strike {
  /** Which request since, from 0; the next ones too where `onwards`. */
  readonly at: number;
  readonly onwards: boolean;
  readonly hostility: Hostility;
  /** Of these alone, by method, path, action and body. Any when absent. */
  readonly only?: RegExp | undefined;
}

export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body: string;
  /** Its name where a header tells it, as Alibaba Cloud's do. */
  readonly action: string;
  readonly struck: boolean;
  /** What an honest server answered. */
  readonly honest: HonestAnswer;
}

export interface HostileCloud {
  /** A server in front of another one. @param address `ADDRESS:PORT`, by default of its own. @returns its URL. */
  front(upstream: string, address?: string): Promise<string>;
  /** From now on, counting anew. Undefined: honest. */
  strike(strike: Strike | undefined): void;
  /** Requests since. */
  readonly seen: readonly SeenRequest[];
  /** Requests at the stranger's, ever. */
  readonly strangers: readonly string[];
  /** Most bytes of one hostile body that a client took. */
  readonly mostTaken: number;
  stop(): Promise<void>;
}

export async function startHostileCloud(): Promise<HostileCloud> {
  const servers: Server[] = [];
  const strangers: string[] = [];
  let seen: SeenRequest[] = [];
  let current: Strike | undefined;
  let count = 0;
  let mostTaken = 0;

  async function listen(
    serve: (message: IncomingMessage, response: ServerResponse) => void,
    address = '127.0.0.1:0',
  ): Promise<string> {
    const server = createServer({ maxHeaderSize: 1 << 20 }, serve);
    const [host = '', port = ''] = address.split(':');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(Number(port), host, resolve);
    await promise;
    servers.push(server);
    return `http://${host}:${(server.address() as AddressInfo).port}`;
  }

  const stranger = await listen((message, response) => {
    strangers.push(`${message.method} ${message.url} ${JSON.stringify(message.headers)}`);
    response.end('{}');
  });

  async function serve(upstream: string, message: IncomingMessage, response: ServerResponse): Promise<void> {
    const strike = current;
    const number = count++;
    response.on('error', () => {});
    const body = await textOf(message);
    const action = String(message.headers['x-acs-action'] ?? '');
    const isMeant = strike?.only?.test(`${message.method} ${message.url} ${action} ${body}`) ?? true;
    const struck = strike !== undefined && isMeant && (strike.onwards ? number >= strike.at : number === strike.at);
    const honest = await ask(upstream, message, body);
    if (strike === current) {
      const { method = 'GET', url: path = '/' } = message;
      seen.push({ method, path, body, action, struck, honest });
    }
    if (!struck) {
      response.writeHead(honest.status, honest.headers).end(honest.body);
      return;
    }
    const taken = await send(strike.hostility.turn(honest, `${stranger}${message.url ?? '/'}`), response);
    mostTaken = Math.max(mostTaken, taken);
  }

  return {
    front: async (upstream, address) =>
      await listen((message, response) => {
        // Who went away asks for nothing.
        serve(upstream, message, response).catch(() => response.destroy());
      }, address),
    strike(strike) {
      current = strike;
      count = 0;
      seen = [];
    },
    get seen() {
      return seen;
    },
    strangers,
    get mostTaken() {
      return mostTaken;
    },
    async stop() {
      for (const server of servers) {
        const closed = Promise.withResolvers<void>();
        server.close(() => closed.resolve());
        server.closeAllConnections();
        await closed.promise;
      }
    },
  };
}

async function textOf(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

/** The request as it came, at the honest server: its signature holds. */
async function ask(upstream: string, { method, url, headers }: IncomingMessage, body: string): Promise<HonestAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HonestAnswer>();
  const { connection: _, 'transfer-encoding': __, ...rest } = headers;
  const sent = request(`${upstream}${url}`, { method, agent: false, headers: rest }, (answer) => {
    textOf(answer).then((text) => {
      const kept = Object.entries(answer.headers).filter(
        ([name]) => !['connection', 'keep-alive', 'transfer-encoding', 'content-length'].includes(name),
      );
      resolve({
        status: answer.statusCode ?? 0,
        headers: Object.fromEntries(kept) as Record<string, string>,
        body: text,
      });
    }, reject);
  });
  sent.on('error', reject);
  sent.end(body);
  return await promise;
}
