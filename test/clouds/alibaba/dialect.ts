/** How the front speaks Alibaba Cloud's RPC style: operations by header, signed requests, JSON answers. */
import { randomUUID } from 'node:crypto';
import type { Dialect, RefusalKind } from '../simulator/front.ts';
import type { Refusal } from '../simulator/refusal.ts';
import { accountId, type KeyBook } from './keys.ts';
import { type AlibabaOperation, type Cloud, operations } from './operations.ts';
import { parametersOf } from './parameters.ts';
import { refusals } from './refusals.ts';

export function alibabaDialect(cloud: Cloud, keys: KeyBook): Dialect<AlibabaOperation> {
  return {
    operationOf({ method, url, headers }) {
      const found = operations.get(String(headers['x-acs-action'] ?? ''));
      if (!found || method !== 'POST' || url.pathname !== '/') throw refusals.noAction();
      return found;
    },
    callerOf: (request, { version }) => {
      // Signatures cover the version, so that one that is wrong is judged first.
      if (request.headers['x-acs-version'] !== version) throw refusals.badVersion();
      return keys.callerOf(request);
    },
    /** Flow control is "per account and API". */
    bucketOf: ({ name }) => name,
    refusal: (kind, { operation, caller }, waitMs) => refusalOf(kind, operation, caller, waitMs),
    async carryOut({ request, operation, caller, half }) {
      const body = await operation.perform(cloud, parametersOf(request), {
        half,
        authorize: (action, resource) => keys.authorize(caller, action, resource),
      });
      const RequestId = randomUUID().toUpperCase();
      return { status: 200, headers: { 'x-acs-request-id': RequestId }, body: { RequestId, ...body } };
    },
  };
}

function refusalOf(kind: RefusalKind, operation: AlibabaOperation, caller: string, waitMs = 1000): Refusal {
  switch (kind) {
    case 'throttled':
      return refusals.throttled(waitMs);
    case 'denied':
      return refusals.forbidden(`${operation.product}:${operation.name}`, caller, accountId);
    case 'quota':
      return refusals.quota();
    case 'busy':
      if (!operation.changes) return refusals.unavailable();
      return operation.product === 'vpc' ? refusals.taskConflict() : refusals.busyNic();
    case 'server':
      return refusals.internal();
  }
}
