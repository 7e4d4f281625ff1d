/** An agent's /healthz, /readyz and /metrics over plain HTTP. Paths, codes and bodies of the first two are flannel's (its `pkg/health`). */
import type { Server } from 'node:http';
import { type MetricsText, metricsAnswer, notFound, readyzAnswer, startHttpServer } from './http.ts';
import type { Readiness } from './status.ts';

export interface HealthServerOptions {
  readonly ip: string;
  /** 0 turns it off, as in flannel: then don't call this. */
  readonly port: number;
  readonly readiness: Readiness;
  readonly metrics: () => Promise<MetricsText>;
}

/** Listens, or throws CONFIG_INVALID naming the address that can't be used. The server doesn't keep the process alive. */
export async function startHealthServer({ ip, port, readiness, metrics }: HealthServerOptions): Promise<Server> {
  return await startHttpServer({
    ip,
    port,
    serves: 'health checks',
    answer({ path }) {
      if (path === '/healthz') return { status: 200, body: 'flanneld is running' };
      if (path === '/readyz') return readyzAnswer(readiness, 'flanneld');
      if (path === '/metrics') return metricsAnswer(metrics);
      return notFound;
    },
  });
}
