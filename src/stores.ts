/** Opens the store that the flags chose: etcd, or the Kubernetes API. Only the one that is chosen is loaded. */
import type { Stores } from '../lease/stores.ts';
import type { EtcdOptions } from './cli/flag-reader.ts';
import type { Clock, Random } from './core/clock.ts';
import type { Logger } from './core/log.ts';

/** What `--kube-subnet-mgr` and the flags beside it say. */
export interface KubernetesFlags {
  readonly apiUrl: string;
  readonly kubeconfigFile: string;
  readonly annotationPrefix: string;
  readonly netConfFile: string;
  readonly setCondition: boolean;
}

export interface StoreChoice {
  readonly etcd: EtcdOptions;
  /** Undefined: leases are in etcd. */
  readonly kubernetes: KubernetesFlags | undefined;
}

export interface StoreBase {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Longest time for one call, milliseconds. */
  readonly deadlineMs: number;
}

/** Where the manifests put everything, as flannel's do. */
const defaultNamespace = 'kube-flannel';

/** Stores, and what the store knows of this machine. */
export interface OpenStores extends Stores {
  /** As the store names it; undefined where it has no name for it. */
  readonly nodeName?: string;
  /** Addresses that an operator has written there for it, in place of flags. */
  publicIpHints?(signal: AbortSignal): Promise<{ readonly 4: string; readonly 6: string }>;
}

/**
 * Opens them for an agent (`isNode`), or for who looks at all nodes. Nothing is sent, but where an agent must ask which node it is on.
 *
 * @throws CONFIG_INVALID for flags that can't be used; and what that question throws.
 */
export async function openStores(
  { etcd, kubernetes }: StoreChoice,
  { environment, deadlineMs, ...base }: StoreBase,
  { isNode }: { readonly isNode: boolean },
  signal: AbortSignal,
): Promise<OpenStores> {
  if (!kubernetes) {
    const { createEtcdStores } = await import('../lease/etcd/stores.ts');
    return createEtcdStores({ ...base, deadlineMs, ...etcd, password: etcd.password.reveal() });
  }
  const { createKubernetesStores } = await import('../lease/kubernetes/stores.ts');
  const namespace = environment['POD_NAMESPACE'] || defaultNamespace;
  // A controller makes the route of a node before its agent has said a word.
  const selection = isNode ? 'managed' : 'all';
  return await createKubernetesStores(
    { ...base, ...kubernetes, environment, deadlineMs, isNode, selection, namespace },
    signal,
  );
}
