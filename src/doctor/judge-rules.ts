/** Packet rules: ours in place, and nobody else's that drop what pods send one another. Pure. */
import type { Fate } from '../../host/forward-fate.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

/** The rules wanted by net-conf and flags, against what is there. */
export function judgeOwnRules(missing: readonly string[], masquerade: boolean): Finding {
  const check = 'rules';
  const what = masquerade ? 'masquerade and forward rules' : 'forward rules';
  if (missing.length === 0) return ok(check, `${what} are in place`);
  return failed(
    check,
    missing.join('; '),
    'See that the agent runs: it writes its rules at the start and repairs them every few seconds. Does another program remove them?',
  );
}

/** One place where the kernel asks what to do with a forwarded packet. */
export interface ForwardPlace {
  /** Such as `iptables FORWARD` or `nft inet firewall forward`. */
  readonly name: string;
  readonly fate: Fate;
}

/**
 * Every place is asked, and a drop in one is final: an accept elsewhere does not overrule it.
 *
 * @param network the pod network, for the remedy.
 */
export function judgeForwardPlaces(places: readonly ForwardPlace[], network: string): readonly Finding[] {
  const bad = places.flatMap(({ name, fate }): readonly Finding[] => {
    if (fate.end !== 'drop') return [];
    const accept = name.startsWith('nft ')
      ? `nft insert rule ${name.slice(4)} ip${network.includes(':') ? '6' : ''} saddr ${network} accept (and daddr)`
      : `${name.split(' ')[0]} -I FORWARD -s ${network} -j ACCEPT (and -d)`;
    const remedy = `Accept the pod network there: "${accept}". An accept in another table does not overrule it.`;
    const check = `forward policy of ${name}`;
    return fate.mayAccept
      ? [warning(check, `drops packets from pod to pod unless a rule with other conditions accepts them`, remedy)]
      : [failed(check, `drops packets from pod to pod of ${network}`, remedy)];
  });
  if (bad.length > 0) return bad;
  const names = places.map(({ name }) => name).join(', ');
  return [ok('forward policies', places.length === 0 ? `no chain stops ${network}` : `${network} passes ${names}`)];
}
