/** What an agent would say about a net-conf, before it is stored. */
import { formatCidr, formatIp } from '../core/ip.ts';
import { plainText } from '../core/plain-text.ts';
import { cidrList } from './backend.ts';
import { type NetConf, parseNetConf } from './net-conf.ts';

export interface CheckReport {
  readonly ok: boolean;
  /** What to print: for a sound net-conf every value in force, else the problems. */
  readonly lines: readonly string[];
}

/** Checks a net-conf's text. */
export function checkNetConf(document: string): CheckReport {
  const parsed = parseNetConf(document);
  const warnings = parsed.warnings.map((warning) => `warning: ${warning}`);
  if (parsed.ok) return { ok: true, lines: [...warnings, ...describeNetConf(parsed.netConf)] };
  return { ok: false, lines: [...parsed.problems.map((problem) => `problem: ${problem.message}`), ...warnings] };
}

/** Every value in force, one line each. */
export function describeNetConf(netConf: NetConf): readonly string[] {
  const { backend } = netConf;
  return [
    ...netConf.families.flatMap((family) => {
      const range = netConf.ranges[family];
      if (!range) return [];
      const from = `${formatIp(range.subnetMin)} to ${formatIp(range.subnetMax)}`;
      return [`IPv${family}: network ${formatCidr(range.network)}, subnets of /${range.subnetLength} from ${from}`];
    }),
    `rules: ${netConf.enableNFTables ? 'nftables' : 'iptables'}`,
    `backend: ${backend.type}, routes written by ${backend.writer === 'node' ? 'each node' : 'the controller'}`,
    ...(backend.nonMasqueradeCidrs.length > 0 ? [`not masqueraded: ${cidrList(backend.nonMasqueradeCidrs)}`] : []),
    plainText(`backend options: ${JSON.stringify(backend.config)}`, 2_000),
  ];
}
