/** The links of a backend without a cloud, before the lease: its data names them. */
import type { ExternalInterface } from '../../host/host.ts';
import type { Lease } from '../../lease/lease.ts';
import { macsFor } from '../../providers/vxlan/vxlan.ts';
import { backoffMs } from '../core/clock.ts';
import { isFinalError } from '../core/errors.ts';
import { families, sameIp } from '../core/ip.ts';
import type { VxlanLink } from '../core/peer-network.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import type { AgentParts } from './node-context.ts';
import { backendOf } from './node-state.ts';
import { untilItWorks } from './until-it-works.ts';

/**
 * Makes the links, or finds them as they stood. A link that is gone gets the link-layer address that this node's lease still tells
 * peers: they go on sending to it. Repeated until it works.
 */
export async function establishLinks(
  netConf: NetConf,
  external: ExternalInterface,
  parts: AgentParts,
  signal: AbortSignal,
): Promise<readonly VxlanLink[]> {
  const backend = backendOf(netConf);
  const byte = (): number => Math.floor(parts.random() * 256);
  // Backends without links have none whatever the addresses.
  if (!backend || backend.links(external, macsFor({}, byte)).length === 0) return [];
  parts.readiness.missing('host', 'the links of the backend are not set up yet');
  return await untilItWorks(
    {
      ...{ ...parts, isFinal: isFinalError, failing: 'cannot set up the links of the backend' },
      onWaiting: (reason) => parts.readiness.missing('host', reason),
      pauseMs: (_, attempt) => backoffMs(attempt, 500, 30_000, parts.random),
    },
    async () => {
      const { leases } = await parts.leases.list(signal);
      const earlier = leases.find((lease) => isOwn(lease, backend.leaseType, external));
      const macs = macsFor(backend.storedMacs(earlier?.attributes.backendData ?? {}), byte);
      const { changes, present } = await parts.host.ensureLinks(backend.links(external, macs), signal);
      if (changes.length > 0) parts.logger.info('links of the backend set up', { changes });
      return present;
    },
    signal,
  );
}

/** True for a lease with our public address, which is how flannel knows its own. */
function isOwn({ attributes }: Lease, type: string, { publicIps }: ExternalInterface): boolean {
  return (
    attributes.backendType === type &&
    families.some((family) => {
      const [theirs, ours] = [attributes.publicIps[family], publicIps[family]];
      return theirs !== undefined && ours !== undefined && sameIp(theirs, ours);
    })
  );
}
