/** Counts what is asked of a cloud: each try, as the cloud answered it. Around it lies the budget, whose waiting is no call. */
import { type ErrorCode, isAbortError, isFlannelVpcError } from '../src/core/errors.ts';
import type { CloudProvider, RouteChange } from './provider.ts';

export interface CloudCall {
  /** The provider's method; for a change of a route, which one. */
  readonly action: 'resolve' | 'instances' | 'tables' | 'diagnose' | 'prepare' | 'batch' | RouteChange['action'];
  /** `aborted`: we gave up waiting. */
  readonly result: 'ok' | 'aborted' | ErrorCode;
  /** Whether the cloud asked for fewer calls. */
  readonly throttled: boolean;
}

export type OnCloudCall = (call: CloudCall) => void;

/** The provider, telling of each call when it has ended. `identify` asks the metadata server, which is not the cloud's API. */
export function withCallMeter(provider: CloudProvider, onCall: OnCloudCall): CloudProvider {
  async function metered<T>(action: CloudCall['action'], call: Promise<T>): Promise<T> {
    try {
      const value = await call;
      onCall({ action, result: 'ok', throttled: false });
      return value;
    } catch (error) {
      const result = isAbortError(error) ? 'aborted' : isFlannelVpcError(error) ? error.code : 'INTERNAL';
      onCall({ action, result, throttled: result === 'THROTTLED' });
      throw error;
    }
  }

  const { applyBatch } = provider;
  return {
    type: provider.type,
    capabilities: provider.capabilities,
    identify: (signal) => provider.identify(signal),
    resolve: (claims, signal) => metered('resolve', provider.resolve(claims, signal)),
    instances: (ids, signal) => metered('instances', provider.instances(ids, signal)),
    tables: (selector, signal) => metered('tables', provider.tables(selector, signal)),
    prepare: (nextHop, signal) => metered('prepare', provider.prepare(nextHop, signal)),
    apply: (change, signal) => metered(change.action, provider.apply(change, signal)),
    ...(applyBatch && {
      applyBatch: (tableId: string, changes: readonly RouteChange[], signal: AbortSignal) =>
        metered('batch', applyBatch.call(provider, tableId, changes, signal)),
    }),
    diagnose: (subject, signal) => metered('diagnose', provider.diagnose(subject, signal)),
    close: () => provider.close(),
  };
}
