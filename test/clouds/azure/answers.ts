/** Answers of ARM: documents, lists in pages, and those that an operation goes on behind. */
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { commonHeaders } from './errors.ts';
import type { JsonObject } from './json.ts';
import { type Operation, remainingSeconds } from './operations.ts';
import type { AzureState } from './state.ts';

/** What every handler is given. */
export interface Context {
  readonly state: AzureState;
  /** Where the client found us, such as `http://127.0.0.1:4711`: answers lead there. */
  readonly origin: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
  /** A fault: the operation is to fail half-way. */
  readonly half: boolean;
}

/** With what is left of ARM's own buckets, for a caller far from their end. */
export function ok(body: JsonObject, headers: Readonly<Record<string, string>> = {}, status = 200): SimulatorAnswer {
  return {
    status,
    headers: { ...commonHeaders(), 'x-ms-ratelimit-remaining-subscription-reads': '249', ...headers },
    body,
  };
}

/** One page of a list, and where the next is. */
export function page({ state, url, origin }: Context, items: readonly JsonObject[]): SimulatorAnswer {
  const start = Number(url.searchParams.get('$skiptoken') ?? 0);
  const end = start + state.pageSize;
  const next = new URL(`${origin}${url.pathname}${url.search}`);
  next.searchParams.set('$skiptoken', String(end));
  return ok({ value: items.slice(start, end), ...(end < items.length ? { nextLink: next.href } : {}) });
}

export function operationUrl({ state, origin, url }: Context, operation: Operation, kind = 'operations'): string {
  const [, , subscription = ''] = url.pathname.split('/');
  const version = url.searchParams.get('api-version');
  return `${origin}/subscriptions/${subscription}/providers/Microsoft.Network/locations/${state.location}/${kind}/${operation.id}?api-version=${version}`;
}

/** The answer to a write: the document as it is to be, and where to ask when it is. */
export function begun(
  context: Context,
  operation: Operation,
  body: JsonObject | undefined,
  status: 200 | 201 | 202,
): SimulatorAnswer {
  return {
    status,
    headers: {
      ...commonHeaders(),
      'x-ms-ratelimit-remaining-subscription-writes': '199',
      'azure-asyncoperation': operationUrl(context, operation),
      'azure-asyncnotification': 'Enabled',
      ...(status === 202 ? { location: operationUrl(context, operation, 'operationResults') } : {}),
      ...(operation.status === 'InProgress' ? { 'retry-after': String(remainingSeconds(operation)) } : {}),
    },
    ...(body && { body }),
  };
}
