/** `flannel-vpc netconf check FILE`: what an agent would say about a net-conf, before it is stored. */
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { errorMessage, FlannelVpcError } from '../core/errors.ts';
import { formatCidr, formatIp } from '../core/ip.ts';
import { cidrList } from './backend.ts';
import { type NetConf, parseNetConf } from './net-conf.ts';

export interface CheckReport {
  readonly ok: boolean;
  /** What to print: for a sound net-conf every value in force, else the problems. */
  readonly lines: readonly string[];
}

/** Reads and checks a file; `-` is standard input. @throws USAGE without a file, CONFIG_INVALID for one that can't be read. */
export async function checkNetConfFile(argv: readonly string[], stdin: NodeJS.ReadableStream): Promise<CheckReport> {
  const [verb, file, ...rest] = argv;
  if (verb !== 'check' || file === undefined || rest.length > 0) {
    throw new FlannelVpcError('USAGE', 'netconf: give "netconf check FILE", or "netconf check -" for standard input');
  }
  return checkNetConf(await readDocument(file, stdin));
}

/** Checks a net-conf's text. */
export function checkNetConf(document: string): CheckReport {
  const parsed = parseNetConf(document);
  const warnings = parsed.warnings.map((warning) => `warning: ${warning}`);
  if (parsed.ok) return { ok: true, lines: [...warnings, ...describe(parsed.netConf)] };
  return { ok: false, lines: [...parsed.problems.map((problem) => `problem: ${problem.message}`), ...warnings] };
}

async function readDocument(file: string, stdin: NodeJS.ReadableStream): Promise<string> {
  try {
    return file === '-' ? await readAll(stdin) : await readFile(file, 'utf8');
  } catch (error) {
    throw new FlannelVpcError('CONFIG_INVALID', `can't read ${file}: ${errorMessage(error)}`, { cause: error });
  }
}

function describe(netConf: NetConf): readonly string[] {
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
    `backend options: ${JSON.stringify(backend.config)}`,
  ];
}
