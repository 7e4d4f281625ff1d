/** Controllers: the built program, in the rig's own namespace, with a role of its own. */
import type { ClusterReport } from '../../src/report/cluster-report.ts';
import type { Policy } from '../clouds/aws/iam-policy.ts';
import type { AwsWorld } from '../clouds/aws/world.ts';
import { type LogLine, program } from './agent.ts';
import type { EtcdServer } from './etcd.ts';
import { type Process, start } from './process.ts';

/** What a controller works on: a cluster, or EC2 and a store alone. */
export interface ControllerPlace {
  readonly world: AwsWorld;
  /** Absent where its arguments name another store. */
  readonly etcd?: Pick<EtcdServer, 'endpoint'>;
}

export interface ControllerRequest {
  /** Its role session, by which EC2's log tells it from others. */
  readonly name: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What its role may do; default everything. The role is one for all controllers. */
  readonly policy?: Policy;
  /** Put in front of the program: what a deliberately wrong controller does first. It must end in `exec "$@"`. */
  readonly prelude?: string;
}

export interface Controller {
  readonly name: string;
  readonly process: Process;
  log(): readonly LogLine[];
  logged(pattern: RegExp, timeoutMs?: number): Promise<void>;
  /** What its status page is made from. */
  report(): Promise<ClusterReport>;
  get(path: string): Promise<{ readonly status: number; readonly body: string }>;
  kill(signal?: NodeJS.Signals): Promise<number | string>;
}

let ports = 8_500;

/** Starts it. It ends with the rig, or by `kill`. */
export function startController(place: ControllerPlace, request: ControllerRequest): Controller {
  const { name, args = [], env = {}, policy, prelude } = request;
  const { world, etcd } = place;
  const port = ++ports;
  world.proxy.roles.setRole('controller', policy);
  const credentials = world.proxy.roles.issue('controller', name);
  const argv = [
    ...[program, 'controller', '--log-format=json', '--log-level=debug', `--healthz-port=${port}`],
    ...(etcd ? [`--etcd-endpoints=${etcd.endpoint}`] : []),
    ...args,
  ];
  const child = start(prelude === undefined ? argv : ['bash', '-c', prelude, 'prelude', ...argv], {
    ...world.environment(credentials),
    AWS_ENDPOINT_URL_EC2: `http://127.0.0.1:${world.proxy.port}`,
    // It is no instance of this VPC; nothing answers there.
    AWS_EC2_METADATA_DISABLED: 'true',
    ...env,
  });
  async function get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5_000) });
    return { status: answer.status, body: await answer.text() };
  }
  return {
    name,
    process: child,
    log: () =>
      child
        .log()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as LogLine),
    logged: async (pattern, timeoutMs) => void (await child.waitForLog(pattern, timeoutMs)),
    async report() {
      const { status, body } = await get('/status.json');
      if (status !== 200) throw new Error(`no report yet: ${body}`);
      return JSON.parse(body) as ClusterReport;
    },
    get,
    kill: (signal) => child.kill(signal),
  };
}
