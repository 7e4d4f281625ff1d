/** Start-up: from the fork to subnet.env, of a node that joins and of one that restarts. One agent at a time, on a warm etcd. */
import { readFile } from 'node:fs/promises';
import { type AgentSpec, type Lab, type LabAgent, type Subject, waitFor, writtenAt } from './lab.ts';
import { cpuOf, total } from './proc.ts';
import { type Summary, summary } from './statistics.ts';

/** How the agents of a measurement are started. */
export interface Mode {
  readonly name: string;
  readonly args: readonly string[];
  /** Members of net-conf. */
  readonly netConf: object;
}

/** flanneld's defaults, which include forward rules by iptables. */
export const defaultFlags: Mode = { name: 'default flags', args: [], netConf: {} };
export const masqueradeIptables: Mode = { name: '--ip-masq, iptables', args: ['--ip-masq'], netConf: {} };
export const masqueradeNftables: Mode = {
  ...{ name: '--ip-masq, nftables', args: ['--ip-masq'], netConf: { EnableNFTables: true } },
};

export interface StartUpResult {
  /** Milliseconds from the fork to the last write of subnet.env. */
  readonly first: Summary;
  /** The same for a restart: until subnet.env is written anew, or left alone and the agent says that it is ready. */
  readonly restart: Summary;
  /** CPU seconds until then, children included. */
  readonly cpu: Summary;
  /** Milliseconds from SIGTERM to the end. */
  readonly stop: Summary;
  /** Exit codes of all stops. */
  readonly codes: ReadonlySet<number | string>;
}

export async function startUp(lab: Lab, subject: Subject, mode: Mode, runs: number): Promise<StartUpResult> {
  await lab.putNetConf({ Network: '10.5.0.0/16', Backend: { Type: 'alloc' }, ...mode.netConf });
  const first: number[] = [];
  const restart: number[] = [];
  const cpu: number[] = [];
  const stops: number[] = [];
  const codes = new Set<number | string>();
  const label = `${subject.name}-${mode.name.replaceAll(/\W+/g, '-')}`;

  async function stop({ launched }: LabAgent): Promise<void> {
    const asked = performance.now();
    codes.add(await launched.kill('SIGTERM'));
    stops.push(performance.now() - asked);
  }

  async function start(spec: AgentSpec): Promise<LabAgent> {
    const [agent] = await lab.start(subject, [{ ...spec, args: mode.args }]);
    if (!agent) throw new Error('nothing was started');
    return agent;
  }

  for (let run = 0; run < runs; run++) {
    await lab.deleteLeases();
    const joining = await start({ id: `${label}-${run}` });
    const at = await waitFor(joining, () => writtenAt(joining.subnetFile));
    cpu.push(total(await cpuOf(joining.launched.pid)));
    first.push(at - joining.launched.startedAt);
    await stop(joining);

    const before = await writtenAt(joining.subnetFile);
    const again = await start({ id: `${label}-${run}-again`, subnetFile: joining.subnetFile });
    const done = await waitFor(again, async () => {
      const written = await writtenAt(again.subnetFile);
      if (written !== before) return written;
      return (await saysReady(again)) ? Date.now() : undefined;
    });
    restart.push(done - again.launched.startedAt);
    await stop(again);
  }
  return { first: summary(first), restart: summary(restart), cpu: summary(cpu), stop: summary(stops), codes };
}

/** Milliseconds from the fork to the end of a Node that does nothing: how fast this machine is just now. */
export async function bareNode({ launcher }: Lab, runs: number): Promise<Summary> {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const [node] = await launcher.start([
      { id: `bare-${performance.now()}`, argv: [process.execPath, '-e', '0'], log: '/dev/null' },
    ]);
    if (!node) throw new Error('nothing was started');
    await node.ended;
    times.push(Date.now() - node.startedAt);
  }
  return summary(times);
}

async function saysReady({ logFile }: LabAgent): Promise<boolean> {
  return (await readFile(logFile, 'utf8')).includes('"msg":"ready"');
}
