/** What the API server's refusals mean to us ("HTTP Status codes" in Kubernetes' API conventions). */

import type { IncomingHttpHeaders } from 'node:http';
import * as z from 'zod';
import { type ErrorCode, FlannelVpcError } from '../../src/core/errors.ts';
import { parseJson } from '../../src/core/json.ts';

export interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
  readonly method: string;
  readonly path: string;
  readonly doing: string;
}

/** Longest time that an answer may ask us to stay away, milliseconds. */
const longestPauseMs = 300_000;

const statusSchema = z.object({
  message: z.string().max(4_000).optional().catch(undefined),
  reason: z.string().max(200).optional().catch(undefined),
});

/** The error for an answer that is none of success. A place that is lost (410) is NOT_FOUND with `details.gone`. */
export function failureOf({ status, text, headers, method, path, doing }: Refusal): FlannelVpcError {
  const { message, reason } = parseStatus(text);
  const why = message ?? `HTTP status ${status}`;
  const [code, hint] = meaningOf(status, reason, method, path);
  const retryAfter = Number(headers['retry-after']);
  return new FlannelVpcError(code, `can't ${doing}: ${why}`, {
    hint,
    retryAfterMs:
      Number.isFinite(retryAfter) && retryAfter > 0 ? Math.min(retryAfter * 1_000, longestPauseMs) : undefined,
    details: { status, ...(status === 410 || reason === 'Expired' ? { gone: true } : {}) },
  });
}

/** True for a list or watch whose place the server no longer has. */
export function isGone(error: unknown): boolean {
  return error instanceof FlannelVpcError && error.details['gone'] === true;
}

/** An answer that can't be read. */
export function unreadable({ doing }: Pick<Refusal, 'doing'>, why: string): FlannelVpcError {
  return new FlannelVpcError('STORE_UNAVAILABLE', `can't ${doing}: the answer can't be read: ${why}`, {
    hint: 'See whether a proxy stands in the way of the API server.',
  });
}

function parseStatus(text: string): z.infer<typeof statusSchema> {
  try {
    return statusSchema.parse(parseJson(text));
  } catch {
    return {};
  }
}

function meaningOf(
  status: number,
  reason: string | undefined,
  method: string,
  path: string,
): readonly [ErrorCode, string?] {
  if (status === 401) {
    return [
      'STORE_DENIED',
      'The API server does not know these credentials: check the service account or the kubeconfig.',
    ];
  }
  if (status === 403) {
    return [
      'STORE_DENIED',
      `Grant it in the role: ${method} ${path.split('?')[0]}; the manifest's ClusterRole has all that is needed.`,
    ];
  }
  if (status === 404 && path.startsWith('/apis/flannel-vpc.dev/')) {
    return [
      'NOT_FOUND',
      'If the server does not know VPCRoutes at all: kubectl apply -f deploy/kubernetes/vpcroute-crd.yaml.',
    ];
  }
  if (status === 404) return ['NOT_FOUND'];
  if (status === 410 || reason === 'Expired') return ['NOT_FOUND'];
  if (status === 409) return ['CONFLICT'];
  if (status === 429 || status >= 500 || status === 0) return ['STORE_UNAVAILABLE'];
  return ['INVALID'];
}
