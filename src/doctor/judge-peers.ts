/** Peers of a backend without a cloud: whose leases make entries, and whether those stand. Pure. */
import type { PassedOver } from '../../providers/host-backend.ts';
import { formatCidr } from '../core/ip.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

export interface PeerFacts {
  /** How many subnets should have an entry. */
  readonly wanted: number;
  readonly passedOver: readonly PassedOver[];
  /** Commands of `ip` and `bridge` that would put right what is wrong. */
  readonly pending: readonly string[];
}

/** Peers named one by one. */
const namedPeers = 5;

/** One line for the whole, and one for each peer that is not reached. */
export function judgePeers({ wanted, passedOver, pending }: PeerFacts): readonly Finding[] {
  const [first] = pending;
  const whole =
    first === undefined
      ? ok('peers', `all entries for ${wanted} subnets of other nodes stand`)
      : failed(
          'peers',
          `${pending.length} entries for ${wanted} subnets of other nodes are missing or too many, such as "${first}"`,
          'The agent sets them within 10 s: see that it runs, and what its log says of the kernel.',
        );
  const named = passedOver.slice(0, namedPeers).map(({ subnet, reason }) => {
    const remedy = 'Give all nodes one net-conf and restart their agents; a lease nobody keeps can be deleted.';
    return warning(`peer ${formatCidr(subnet)}`, `is not reached: ${reason}`, remedy);
  });
  const more = passedOver.length - named.length;
  if (more === 0) return [whole, ...named];
  return [
    whole,
    ...named,
    warning('peers not named', `${more} more are not reached`, 'Mend those that are named first.'),
  ];
}
