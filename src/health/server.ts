/**
 * /healthz, /readyz and /metrics over plain HTTP. Paths, codes and bodies of the first two are flannel's (its
 * `pkg/health`); the reasons for not being ready go in a header, so that bodies stay comparable.
 */
import { createServer, type Server } from 'node:http';
import { FlannelVpcError } from '../core/errors.ts';
import type { Readiness } from './status.ts';

export interface HealthServerOptions {
  readonly ip: string;
  /** 0 turns it off, as in flannel: then don't call this. */
  readonly port: number;
  readonly readiness: Readiness;
  /** Prometheus text, made when asked for. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Listens, or throws CONFIG_INVALID naming the address that can't be used. The server doesn't keep the process alive. */
export async function startHealthServer(options: HealthServerOptions): Promise<Server> {
  const server = createServer((request, response) => {
    // Anybody may send anything here: what is no URL has no page, and must not end the agent.
    const path = URL.parse(request.url ?? '/', 'http://localhost')?.pathname;
    if (path === '/healthz') return void response.end('flanneld is running');
    if (path === '/readyz') {
      if (options.readiness.isReady()) return void response.end('flanneld is ready');
      response.writeHead(503, { 'X-Flannel-VPC-Waiting-For': headerText(options.readiness.reasons()) });
      return void response.end('flanneld is not ready yet');
    }
    if (path === '/metrics') {
      options.metrics().then(
        ({ contentType, text }) => response.writeHead(200, { 'Content-Type': contentType }).end(text),
        () => response.writeHead(500).end('metrics are not available'),
      );
      return;
    }
    response.writeHead(404).end('404 page not found\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new FlannelVpcError(
          'CONFIG_INVALID',
          `can't serve health checks on ${options.ip}:${options.port}: ${cause.message}`,
          {
            cause,
            hint: 'Choose a free port and an address of this host with --healthz-ip and --healthz-port, or 0 to turn them off.',
          },
        ),
      ),
    );
    server.listen(options.port, options.ip, resolve);
  });
  // A connection that can't be accepted (no more file descriptors, say) is the caller's trouble, not the agent's end.
  server.removeAllListeners('error').on('error', () => {});
  server.unref();
  return server;
}

/** Header values are Latin-1 without line breaks; reasons may quote anything. */
function headerText(reasons: Readonly<Record<string, string>>): string {
  const text = Object.entries(reasons)
    .map(([part, reason]) => `${part}: ${reason}`)
    .join('; ');
  return text.replace(/[^\x20-\x7e]/g, ' ').slice(0, 1000);
}
