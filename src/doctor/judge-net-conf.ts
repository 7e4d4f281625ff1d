/** What the stored net-conf means. Pure. */
import type { NetConfDocument } from '../../lease/lease-store.ts';
import { families, formatCidr } from '../core/ip.ts';
import { type NetConf, parseNetConf } from '../netconf/net-conf.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

const store = 'Store it: etcdctl put PREFIX/config < net-conf.json; "flannel-vpc netconf check FILE" checks it first.';

/** Every problem and every warning, or what is in force. */
export function judgeNetConf(
  document: NetConfDocument | undefined,
  storeDescription: string,
  { anyLength }: { readonly anyLength: boolean } = { anyLength: false },
): readonly Finding[] {
  if (!document) return [failed('net-conf', `there is none at ${storeDescription}, key "config"`, store)];
  const parsed = parseNetConf(document.text, { anyLength });
  const warnings = parsed.warnings.map((text) => warning('net-conf', text, 'Correct or remove the member.'));
  if (parsed.ok)
    return [ok('net-conf', describe(parsed.netConf)), ok('backend', describeBackend(parsed.netConf)), ...warnings];
  const problems = parsed.problems.map(({ message, field }) =>
    failed(field === '' ? 'net-conf' : `net-conf ${field}`, message, `Correct it, and store it again. ${store}`),
  );
  return [...problems, ...warnings];
}

function describe(netConf: NetConf): string {
  const ranges = families.flatMap((family) => {
    const range = netConf.ranges[family];
    if (!range) return [];
    const how = range.anyLength ? "in nodes' pod CIDRs" : `in subnets of /${range.subnetLength}`;
    return [`${formatCidr(range.network)} ${how}`];
  });
  return `${ranges.join(' and ')}, rules by ${netConf.enableNFTables ? 'nftables' : 'iptables'}`;
}

function describeBackend({ backend }: NetConf): string {
  return `${backend.type}, routes written by ${backend.writer === 'node' ? 'each node' : 'the controller'}`;
}
