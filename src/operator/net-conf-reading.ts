/** The net-conf that an operator's command goes by. */
import { FlannelVpcError } from '../core/errors.ts';
import { type NetConf, parseNetConf } from '../netconf/net-conf.ts';
import { netConfByKubectl } from './by-kubectl.ts';
import type { StoreSession } from './session.ts';

/** Reads it. @throws NOT_FOUND where none is stored, CONFIG_INVALID for one with problems. */
export async function readNetConf({ stores, signal }: StoreSession, backendType?: string): Promise<NetConf> {
  const document = await stores.leases.readNetConf(signal);
  if (!document) {
    throw new FlannelVpcError('NOT_FOUND', `no net-conf is stored in ${stores.leases.description}`, {
      hint: 'Store one with "flannel-vpc netconf set FILE", or check --etcd-prefix.',
    });
  }
  const parsed = parseNetConf(document.text, { backendType, anyLength: !stores.leases.allocates });
  if (parsed.ok) return parsed.netConf;
  const problems = parsed.problems.map(({ message }) => message).join('; ');
  throw new FlannelVpcError('CONFIG_INVALID', `net-conf has problems: ${problems}`, {
    hint: stores.leases.allocates ? 'Store a sound one with "flannel-vpc netconf set FILE".' : netConfByKubectl.set,
  });
}
