/**
 * Network namespaces of the rig. Their names lie in the rig's own /run/netns, so they end with it; programs started in
 * one are ended with it.
 */
import { type Process, type RunOptions, type RunResult, run, runToEnd, start } from './process.ts';
import { assertInRig } from './rig.ts';

export interface Namespace {
  readonly name: string;
  /** The command line that runs `argv` inside. */
  command(argv: readonly string[]): readonly string[];
  /** Runs to the end inside. @throws Error with what the program said, unless it exits 0. */
  exec(argv: readonly string[], options?: RunOptions): Promise<string>;
  /** As `exec`, for programs that may fail. */
  tryExec(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a program that goes on inside. It is killed when the namespace is removed. */
  spawn(argv: readonly string[], env?: Readonly<Record<string, string>>): Process;
  /** Commands of `ip`, without that word, one a line, carried out in order by one process. */
  ip(...commands: string[]): Promise<void>;
  /** Settings below /proc/sys/net, such as `ipv4/ip_forward`. */
  sysctl(settings: Readonly<Record<string, string | number>>): Promise<void>;
  /** Kills what was started inside, waits for it and removes the namespace. */
  remove(): Promise<void>;
}

export interface NamespaceOptions {
  /** A folder that programs inside see as /run; the rig's own otherwise. */
  readonly runFolder?: string;
}

/** Makes a namespace with its loopback up. @throws Error outside the rig. */
export async function createNamespace(name: string, options: NamespaceOptions = {}): Promise<Namespace> {
  assertInRig();
  await run(['ip', 'netns', 'add', name]);
  const started = new Set<Process>();
  const { runFolder } = options;

  const namespace: Namespace = {
    name,
    command(argv) {
      const enter = ['nsenter', `--net=/run/netns/${name}`, '--'];
      if (runFolder === undefined) return [...enter, ...argv];
      // Each step is an exec: the process that is started is the program itself, and a signal reaches it.
      const mounts = 'mount --bind "$0" /run && mount -t sysfs sysfs /sys && exec "$@"';
      return [...enter, 'unshare', '--mount', '--propagation', 'private', '--', 'sh', '-c', mounts, runFolder, ...argv];
    },
    exec: async (argv, runOptions) => await run(namespace.command(argv), runOptions),
    tryExec: async (argv, runOptions) => await runToEnd(namespace.command(argv), runOptions),
    spawn(argv, env) {
      const child = start(namespace.command(argv), env);
      started.add(child);
      void child.ended.then(() => started.delete(child));
      return child;
    },
    async ip(...commands) {
      await run(['ip', '-n', name, '-batch', '-'], { input: `${commands.join('\n')}\n` });
    },
    async sysctl(settings) {
      const lines = Object.entries(settings).map(([key, value]) => `net/${key}=${value}`);
      await run(['nsenter', `--net=/run/netns/${name}`, 'sysctl', '-q', '-p', '-'], { input: `${lines.join('\n')}\n` });
    },
    async remove() {
      await Promise.all([...started].map((child) => child.kill('SIGKILL')));
      await run(['ip', 'netns', 'delete', name]);
    },
  };
  await namespace.ip('link set lo up');
  return namespace;
}
