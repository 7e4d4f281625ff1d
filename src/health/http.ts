/** A small HTTP server that anybody may send anything to. What it answers is a function from a request to an answer. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { FlannelVpcError } from '../core/errors.ts';
import type { Readiness } from './status.ts';

export interface HttpRequest {
  readonly method: string;
  /** Undefined where the request line holds no URL. */
  readonly path: string | undefined;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HttpServerOptions {
  readonly ip: string;
  readonly port: number;
  /** What is served, for the message when the address can't be used. */
  readonly serves: string;
  readonly answer: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
}

/** Listens, or throws CONFIG_INVALID naming the address that can't be used. The server doesn't keep the process alive. */
export async function startHttpServer(options: HttpServerOptions): Promise<Server> {
  const server = createServer(async (request, response) => {
    // What is no URL has no page, and must not end the program.
    const url = URL.parse(request.url ?? '/', 'http://localhost');
    const asked = {
      method: request.method ?? 'GET',
      path: url?.pathname,
      query: url?.searchParams ?? new URLSearchParams(),
      headers: request.headers,
    };
    const { status, headers, body } = await answerOrFailure(options, asked);
    const length = status === 304 ? {} : { 'Content-Length': Buffer.byteLength(body) };
    response.writeHead(status, { ...length, ...headers }).end(status === 304 ? undefined : body);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new FlannelVpcError(
          'CONFIG_INVALID',
          `can't serve ${options.serves} on ${options.ip}:${options.port}: ${cause.message}`,
          {
            cause,
            hint: 'Choose a free port and an address of this host with --healthz-ip and --healthz-port, or 0 to turn them off.',
          },
        ),
      ),
    );
    server.listen(options.port, options.ip, resolve);
  });
  // A connection that can't be accepted (no more file descriptors, say) is the caller's trouble, not the program's end.
  server.removeAllListeners('error').on('error', () => {});
  server.unref();
  return server;
}

async function answerOrFailure({ answer }: HttpServerOptions, request: HttpRequest): Promise<HttpAnswer> {
  try {
    return await answer(request);
  } catch {
    return { status: 500, body: `${request.path?.slice(1) || 'this'} is not available\n` };
  }
}

/** What /readyz answers. Reasons, and what could not be shown, go in headers, so that bodies stay comparable with flannel's. */
export function readyzAnswer(readiness: Pick<Readiness, 'isReady' | 'reasons' | 'notes'>, who: string): HttpAnswer {
  if (readiness.isReady()) {
    const notes = readiness.notes();
    const noted = Object.keys(notes).length > 0 ? { 'X-Flannel-VPC-Note': headerText(notes) } : {};
    return { status: 200, headers: noted, body: `${who} is ready` };
  }
  const headers = { 'X-Flannel-VPC-Waiting-For': headerText(readiness.reasons()) };
  return { status: 503, headers, body: `${who} is not ready yet` };
}

/** Header values are Latin-1 without line breaks; reasons may quote anything. */
function headerText(reasons: Readonly<Record<string, string>>): string {
  const text = Object.entries(reasons)
    .map(([part, reason]) => `${part}: ${reason}`)
    .join('; ');
  return text.replace(/[^\x20-\x7e]/g, ' ').slice(0, 1000);
}

/** Prometheus text, made when asked for. */
export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** What /metrics answers. */
export async function metricsAnswer(metrics: () => Promise<MetricsText>): Promise<HttpAnswer> {
  const { contentType, text } = await metrics();
  return { status: 200, headers: { 'Content-Type': contentType }, body: text };
}

export const notFound: HttpAnswer = { status: 404, body: '404 page not found\n' };
