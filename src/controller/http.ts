/**
 * What is seen of a controller from outside: the status page for a browser, the report as JSON, metrics and health.
 *
 * Whoever reaches the port may read all of it, so it is bound to loopback unless told otherwise and holds no secret. Nothing here changes
 * anything.
 */
import { createHash } from 'node:crypto';
import type { Server } from 'node:http';
import {
  type HttpAnswer,
  type HttpRequest,
  type MetricsText,
  metricsAnswer,
  notFound,
  readyzAnswer,
  startHttpServer,
} from '../health/http.ts';
import type { Readiness } from '../health/status.ts';
import type { ClusterReport } from '../report/cluster-report.ts';
import { renderPage, renderParts } from './page/page.ts';
import { pageScript } from './page/script.ts';
import { pageIcon, pageStyle } from './page/style.ts';

export interface ControllerServerOptions {
  readonly ip: string;
  readonly port: number;
  /** The last look, or undefined before the first. A new object for each look: answers are kept for as long as it is the same. */
  readonly report: () => ClusterReport | undefined;
  readonly readiness: Pick<Readiness, 'isReady' | 'reasons' | 'notes'>;
  readonly metrics: () => Promise<MetricsText>;
}

/** Everything comes from here and goes nowhere else; a page that was tampered with could not run a script of its own. */
const policy = [
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'",
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
].join('; ');

const commonHeaders = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': policy,
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
} as const;

const plain = 'text/plain; charset=utf-8';
const longestFilter = 200;

/** Listens, or throws CONFIG_INVALID naming the address that can't be used. The server doesn't keep the process alive. */
export async function startControllerServer(options: ControllerServerOptions): Promise<Server> {
  const pages = createPages(options);
  const loopback = isLoopback(options.ip);
  return await startHttpServer({
    ip: options.ip,
    port: options.port,
    serves: 'the status page',
    async answer(request) {
      const { status, headers, body } = await answerTo(request);
      return { status, headers: { ...commonHeaders, 'Content-Type': plain, ...headers }, body };
    },
  });

  async function answerTo(request: HttpRequest): Promise<HttpAnswer> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return { status: 405, headers: { Allow: 'GET, HEAD', Connection: 'close' }, body: 'only GET and HEAD\n' };
    }
    // A page from elsewhere can point its own name at 127.0.0.1 and then read what we answer to that name.
    if (loopback && !isLoopback(hostOf(request.headers.host))) {
      return { status: 421, body: 'not served under this name: ask for localhost or 127.0.0.1\n' };
    }
    switch (request.path) {
      case '/':
        return {
          status: 200,
          headers: { 'Content-Type': 'text/html; charset=utf-8' },
          body: pages.whole(filterOf(request)),
        };
      case '/fragment':
        return pages.parts(filterOf(request), request.headers['if-none-match']);
      case '/status.json':
        return pages.json();
      case '/page.css':
        return { status: 200, headers: { 'Content-Type': 'text/css; charset=utf-8' }, body: pageStyle };
      case '/page.js':
        return { status: 200, headers: { 'Content-Type': 'text/javascript; charset=utf-8' }, body: pageScript };
      case '/icon.svg':
        return { status: 200, headers: { 'Content-Type': 'image/svg+xml' }, body: pageIcon };
      case '/healthz':
        return { status: 200, body: 'flannel-vpc controller is running' };
      case '/readyz':
        return readyzAnswer(options.readiness, 'flannel-vpc controller');
      case '/metrics':
        return await metricsAnswer(options.metrics);
      default:
        return notFound;
    }
  }
}

function filterOf({ query }: HttpRequest): string {
  return (query.get('q') ?? '').slice(0, longestFilter);
}

/** The host's name without its port; no header at all (HTTP/1.0) comes from no browser. */
function hostOf(header: string | undefined): string {
  return header === undefined ? 'localhost' : (URL.parse(`http://${header}`)?.hostname ?? '');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Makes what is asked for, and keeps the last of it: every open page asks for the same every two seconds. */
function createPages({ report, readiness }: Pick<ControllerServerOptions, 'report' | 'readiness'>) {
  let jsonOf: { readonly report: ClusterReport; readonly text: string } | undefined;
  let partsOf:
    | { readonly report: ClusterReport | undefined; readonly key: string; readonly text: string; readonly tag: string }
    | undefined;

  function input(filter: string) {
    return { report: report(), waitingFor: readiness.isReady() ? {} : readiness.reasons(), filter };
  }

  return {
    whole: (filter: string): string => renderPage(input(filter)),

    parts(filter: string, known: string | undefined): HttpAnswer {
      const made = input(filter);
      const key = JSON.stringify([filter, made.waitingFor]);
      if (partsOf?.report !== made.report || partsOf?.key !== key) {
        const text = renderParts(made);
        const tag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
        partsOf = { report: made.report, key, text, tag };
      }
      const headers = { ETag: partsOf.tag, 'Content-Type': 'text/html; charset=utf-8' };
      return known === partsOf.tag ? { status: 304, headers, body: '' } : { status: 200, headers, body: partsOf.text };
    },

    json(): HttpAnswer {
      const headers = { 'Content-Type': 'application/json; charset=utf-8' };
      const made = report();
      if (made === undefined) {
        return { status: 503, headers, body: `${JSON.stringify({ waitingFor: readiness.reasons() })}\n` };
      }
      if (jsonOf?.report !== made) jsonOf = { report: made, text: `${JSON.stringify(made)}\n` };
      return { status: 200, headers, body: jsonOf.text };
    },
  };
}
