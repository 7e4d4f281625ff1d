/** What the suite and a process of its own say to each other: calls one way, answers the other. */
import type { CloudProvider, ProviderCapabilities } from '../../../providers/provider.ts';
import { type ErrorCode, FlannelVpcError, isFlannelVpcError } from '../../../src/core/errors.ts';
import type { DesiredRoute } from '../../../src/routing/desired.ts';
import type { OutsideProvider } from './subject.ts';

/** To the process, first of all. */
export interface Orders {
  readonly desired: readonly DesiredRoute[];
  readonly tableIds: readonly string[];
  readonly networkId: string;
  readonly provider: OutsideProvider | { readonly type: string; readonly capabilities: ProviderCapabilities };
}

/** From the process: a method of the store, or of a provider that is served to it. Signals stay at home. */
export interface RemoteCall {
  readonly id: number;
  readonly method: string;
  readonly values: readonly unknown[];
}

export type Answer = { readonly id: number } & (
  | { readonly value: unknown }
  | { readonly error: Pick<FlannelVpcError, 'code' | 'message' | 'hint' | 'retryAfterMs' | 'details'> }
);

/** From the process, at its end. */
export interface Done {
  readonly inSync: boolean;
  readonly problems: readonly string[];
}

export const providerMethods = [
  'resolve',
  'instances',
  'tables',
  'apply',
  'applyBatch',
] as const satisfies readonly (keyof CloudProvider)[];
export const storeMethods = ['claim', 'list', 'beginRemoval', 'finishRemoval', 'cancelRemoval'] as const;

export function packError(error: unknown): Extract<Answer, { error: unknown }>['error'] {
  const { code, message, hint, retryAfterMs, details } = isFlannelVpcError(error)
    ? error
    : new FlannelVpcError('INTERNAL', String(error));
  return { code, message, hint, retryAfterMs, details };
}

export function unpackError({ code, message, ...options }: ReturnType<typeof packError>): FlannelVpcError {
  return new FlannelVpcError(code satisfies ErrorCode, message, options);
}
