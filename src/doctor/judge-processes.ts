/** Programs on this machine that do what the agent does, or against it. Pure. */
import type { RunningProcess } from '../../host/processes.ts';
import { isFlannel, isOurAgent, programOf } from '../agent-processes.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

interface Rival {
  readonly name: RegExp;
  /** Also where it has a network of its own. */
  readonly anywhere?: boolean;
  /** Its arguments say that it writes routes. */
  readonly writes?: (argv: readonly string[]) => boolean;
  readonly what: string;
  readonly remedy: string;
}

/** Kubernetes' route controller runs where both are on: the first is off by default, the second on. */
function allocatesCloudRoutes(argv: readonly string[]): boolean {
  return flag(argv, 'allocate-node-cidrs') === 'true' && flag(argv, 'configure-cloud-routes') !== 'false';
}

const rivals: readonly Rival[] = [
  {
    name: /^(kube|.*cloud)-controller-manager$/,
    anywhere: true,
    writes: allocatesCloudRoutes,
    what: 'writes VPC routes for node CIDRs',
    remedy: 'Start it with --configure-cloud-routes=false: two writers of one table undo each other’s work.',
  },
  {
    name: /^kube-router$/,
    writes: (argv) => flag(argv, 'run-router') !== 'false',
    what: 'puts routes to pods into this kernel',
    remedy: 'Start it with --run-router=false, or do without flannel-vpc.',
  },
  {
    name: /^(calico-felix|bird6?)$/,
    what: 'puts routes to pods into this kernel',
    remedy: 'Use Calico for policies only (its "canal" form), or do without flannel-vpc.',
  },
  {
    name: /^calico-node$/,
    writes: (argv) => argv.includes('-felix') || argv.includes('-confd'),
    what: 'may put routes to pods into this kernel',
    remedy: 'Use Calico for policies only (its "canal" form, CALICO_NETWORKING_BACKEND=none).',
  },
];

/** The agent runs, once; and nobody else does its work. */
export function judgeProcesses(processes: readonly RunningProcess[]): readonly Finding[] {
  const here = processes.filter(({ sameNetwork }) => sameNetwork);
  const agents = here.filter((one) => isOurAgent(one));
  const flannels = here.filter((one) => isFlannel(one));
  const found = rivals.flatMap(({ name, anywhere, writes, what, remedy }) =>
    (anywhere ? processes : here)
      .filter((one) => name.test(programOf(one)) && (writes?.(one.argv) ?? true))
      .map((one) => warning('second route controller', `${programOf(one)} (process ${one.pid}) ${what}`, remedy)),
  );
  return [agentFinding(agents, flannels), ...found];
}

function agentFinding(agents: readonly RunningProcess[], flannels: readonly RunningProcess[]): Finding {
  const check = 'agent';
  const ids = (list: readonly RunningProcess[]): string => list.map(({ pid }) => pid).join(', ');
  if (flannels.length > 0) {
    const both = agents.length > 0 ? `, and so does our agent (process ${ids(agents)})` : '';
    const finding = agents.length > 0 ? failed : warning;
    return finding(
      check,
      `flanneld itself runs (process ${ids(flannels)})${both}`,
      'Stop flanneld, then restart the agent: both hold this node’s lease.',
    );
  }
  if (agents.length > 1)
    return failed(check, `runs ${agents.length} times (processes ${ids(agents)})`, 'Stop all but one.');
  if (agents.length === 1) return ok(check, `runs (process ${ids(agents)})`);
  return warning(
    check,
    'is not seen among the processes',
    'Start it, unless doctor runs in a container and can’t see the node’s processes.',
  );
}

/** Value of a flag, in Go's spelling: `--name=value`, `--name value`, or alone for true. */
function flag(argv: readonly string[], name: string): string | undefined {
  for (const [at, word] of argv.entries()) {
    const match = /^--?([^=]+)(?:=(.*))?$/s.exec(word);
    if (match?.[1] !== name) continue;
    const next = argv[at + 1];
    return match[2] ?? (next === undefined || next.startsWith('-') ? 'true' : next);
  }
  return undefined;
}
