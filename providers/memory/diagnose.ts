/** What stands in the way in a memory cloud, which has no rights and no firewalls. */
import { type Cidr, cidrsOverlap, formatCidr } from '../../src/core/ip.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject, ForwardingSetting } from '../provider.ts';
import type { World } from './world.ts';

export function diagnoseWorld(
  world: World,
  { networks, nextHop, networkId, needs }: DiagnosisSubject,
  setting: ForwardingSetting,
): readonly Finding[] {
  if (needs === 'none') return [{ check: 'iam', status: 'ok', found: 'this machine needs no rights in the cloud' }];
  const network = world.networks.get(networkId ?? '');
  return [
    { check: 'iam', status: 'ok', found: 'a memory cloud allows everything' },
    forwarding(nextHop, setting),
    overlap(
      'overlap vpc',
      networks,
      network?.cidrs.map((cidr) => ({ owner: network.id, cidr })),
    ),
    overlap(
      'overlap subnets',
      networks,
      network?.subnets.map(({ id, cidr }) => ({ owner: id, cidr })),
    ),
  ];
}

function forwarding(nextHop: DiagnosisSubject['nextHop'], { name, wanted, settable }: ForwardingSetting): Finding {
  if (!nextHop) return notChecked(name, 'the interface of this machine is not known');
  const { nicId } = nextHop;
  if (nextHop.forwards) return { check: name, status: 'ok', found: `${wanted} on ${nicId}` };
  const remedy = settable ? 'let the agent or the controller run' : 'make the instance anew';
  return { check: name, status: 'failed', found: `${wanted === 'on' ? 'off' : 'on'} on ${nicId}`, remedy };
}

function overlap(
  check: string,
  networks: readonly Cidr[],
  ranges: readonly { readonly owner: string; readonly cidr: Cidr }[] | undefined,
): Finding {
  if (!ranges) return notChecked(check, 'the network of this machine is not known');
  for (const network of networks) {
    const clash = ranges.find(({ cidr }) => cidrsOverlap(network, cidr));
    if (!clash) continue;
    const found = `${formatCidr(network)} overlaps ${formatCidr(clash.cidr)} of ${clash.owner}`;
    return { check, status: 'failed', found, remedy: 'choose another Network in net-conf' };
  }
  return { check, status: 'ok', found: 'none' };
}

function notChecked(check: string, why: string): Finding {
  return { check, status: 'warning', found: `not checked: ${why}`, remedy: 'run it on a node' };
}
