/** How the operator's commands look at the cluster: as the controller would, from its flags. */
import { type OpenCloud, openCloud } from '../cloud.ts';
import { createObserver, type Look, type Observer } from '../controller/observer.ts';
import { FlannelVpcError } from '../core/errors.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { defaultDeletionPolicy } from '../routing/route-plan.ts';
import type { StoreSession } from './session.ts';

/** Pause between the two looks at routes whose lease is gone, milliseconds: an agent restores a lost lease well within it. */
const settleMs = 10_000;

export interface Cluster {
  readonly netConf: NetConf;
  readonly cloud: OpenCloud;
  readonly observer: Observer;
}

/** `--backend-type`. */
export function backendTypeFlag({ get }: StoreSession): string | undefined {
  return get.text('backend-type') || undefined;
}

/** Opens the cloud for reading, runs the effect, and closes it. Undefined goes to the effect for a backend without one. */
export async function withCluster<T>(
  session: StoreSession,
  netConf: NetConf,
  options: { readonly allowMassDelete: boolean; readonly beforeWrite: () => void },
  run: (cluster: Cluster | undefined) => Promise<T>,
): Promise<T> {
  const { stores, get } = session;
  const { leases, ownership, reports } = stores;
  const cloud = await openCloud(netConf, { ...session, beforeWrite: options.beforeWrite, batches: true });
  if (!cloud) return await run(undefined);
  const limit = get.number('route-limit');
  const observer = createObserver({
    ...{ leases, ownership, reports, cloud, netConf, clock: session.clock, logger: session.logger },
    backendTypes: get.text('backend-types') === 'all' ? 'all' : 'own',
    policy: { ...defaultDeletionPolicy, allowMassDelete: options.allowMassDelete },
    routeLimit: limit === 0 ? undefined : limit,
  });
  try {
    return await run({ netConf, cloud, observer });
  } finally {
    await cloud.provider.close();
  }
}

/** For commands that only read: a bug must not write. */
export function readsOnly(): never {
  throw new FlannelVpcError('INTERNAL', 'this command writes nothing to the cloud');
}

/** The look that plans are made from: a second one where routes have no lease, since it may have been missed just once. */
export async function lookToPlan({ observer }: Cluster, session: StoreSession): Promise<Look> {
  const { signal, clock, console } = session;
  const look = await observer.look({ resync: true }, signal);
  const absent = look.plan.held.filter(({ code }) => code === 'lease-absent-lately');
  if (absent.length === 0) return look;
  console.say(`routes without a lease: ${absent.length}; looking again in ${settleMs / 1_000} seconds`);
  await clock.sleep(settleMs, signal);
  return await observer.look({ resync: true }, signal);
}
