/** Controllers: the built program, in the rig's own namespace, with a role of its own. */
import type { ClusterReport } from '../../src/report/cluster-report.ts';
import type { CloudWorld } from '../clouds/cloud-world.ts';
import { type LogLine, program } from './agent.ts';
import type { EtcdServer } from './etcd.ts';
import { type Process, start } from './process.ts';

/** What a controller works on: a cluster, or a cloud and a store alone. */
export interface ControllerPlace {
  readonly world: Pick<CloudWorld, 'operatorEnvironment'>;
  /** Absent where its arguments name another store. */
  readonly etcd?: Pick<EtcdServer, 'endpoint'>;
}

export interface ControllerRequest {
  /** By which the cloud's log tells it from others. */
  readonly name: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Put in front of the program: what a deliberately wrong controller does first. It must end in `exec "$@"`. */
  readonly prelude?: string;
  /** Default: what `make build` made. */
  readonly program?: string;
}

export interface Controller {
  readonly name: string;
  readonly process: Process;
  log(): readonly LogLine[];
  logged(pattern: RegExp, timeoutMs?: number): Promise<void>;
  /** What its status page is made from. */
  report(): Promise<ClusterReport>;
  get(path: string): Promise<{ readonly status: number; readonly body: string; readonly headers: Headers }>;
  kill(signal?: NodeJS.Signals): Promise<number | string>;
}

let ports = 8_500;

/** Starts it. It ends with the rig, or by `kill`. */
export function startController(place: ControllerPlace, request: ControllerRequest): Controller {
  const { name, args = [], env = {}, prelude, program: started = program } = request;
  const { world, etcd } = place;
  const port = ++ports;
  const argv = [
    ...[started, 'controller', '--log-format=json', '--log-level=debug', `--healthz-port=${port}`],
    ...(etcd ? [`--etcd-endpoints=${etcd.endpoint}`] : []),
    ...args,
  ];
  const child = start(prelude === undefined ? argv : ['bash', '-c', prelude, 'prelude', ...argv], {
    ...world.operatorEnvironment('controller', name, '127.0.0.1'),
    ...env,
  });
  async function get(path: string): ReturnType<Controller['get']> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5_000) });
    return { status: answer.status, body: await answer.text(), headers: answer.headers };
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
