/**
 * A small container runtime: makes pods on a node from a conflist, as libcni does.
 *
 * ADD runs the plugins in order, each with the result of the one before; CHECK gives them the last result, DEL goes backwards
 * (https://github.com/containernetworking/cni/blob/spec-v0.4.0/SPEC.md). Results are kept by container, as in /var/lib/cni/cache.
 * Nothing of the machine is used: plugins see the node's /run and a /var/lib of the node's own.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNamespace, type Namespace } from './namespace.ts';
import { run } from './process.ts';
import { cniPluginFolder } from './tools.ts';

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
}

/** What the last plugin answered. */
export interface CniResult {
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[];
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[];
  readonly interfaces?: readonly { readonly name: string; readonly sandbox?: string }[];
  readonly dns?: object;
}

/** A pod with what CNI gave it. Its `address` is the first one, without length. */
export interface CniPod extends Namespace {
  readonly address: string;
  readonly addresses: readonly string[];
  readonly result: CniResult;
}

/** What a plugin said when it refused. */
export class CniRefused extends Error {
  readonly plugin: string;

  constructor(plugin: string, command: string, message: string) {
    super(`${plugin} ${command}: ${message}`);
    this.plugin = plugin;
  }
}

export interface CniRuntime {
  /** The node's /var/lib, where host-local keeps addresses. */
  readonly stateFolder: string;
  /** Makes a namespace and runs ADD. When that fails it runs DEL, as runtimes do. @throws CniRefused. */
  add(name: string, portMappings?: readonly PortMapping[]): Promise<CniPod>;
  /** @throws CniRefused. */
  check(pod: Pick<CniPod, 'name'>): Promise<void>;
  /** Runs DEL and removes the namespace. With the same conflist as ADD, whatever the file says by now. @throws CniRefused. */
  remove(pod: Pick<CniPod, 'name'>): Promise<void>;
  /** Removes what is left, without CNI. */
  close(): Promise<void>;
}

interface Conflist {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly Plugin[];
}

interface Plugin {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly [member: string]: unknown;
}

interface Container {
  readonly namespace: Namespace;
  readonly path: string;
  readonly portMappings: readonly PortMapping[];
  readonly conflist: Conflist;
  result: CniResult | undefined;
}

/** Makes the runtime of a node. The conflist is read at each ADD. */
export async function createCniRuntime(node: Namespace, conflistPath: string): Promise<CniRuntime> {
  const plugins = await cniPluginFolder();
  const folder = await mkdtemp(join(tmpdir(), `flannel-vpc-cni-${node.name}-`));
  const stateFolder = join(folder, 'var-lib');
  const netns = join(folder, 'netns');
  for (const each of [stateFolder, netns]) await mkdir(each);
  const containers = new Map<string, Container>();

  async function callPlugin(command: string, name: string, plugin: Plugin): Promise<CniResult | undefined> {
    const container = containerOf(name);
    const { conflist, path, portMappings, result } = container;
    const { capabilities, ...rest } = plugin;
    const input = {
      ...rest,
      name: conflist.name,
      cniVersion: conflist.cniVersion,
      ...(capabilities?.['portMappings'] && portMappings.length > 0 ? { runtimeConfig: { portMappings } } : {}),
      ...(result ? { prevResult: result } : {}),
    };
    const { stdout, stderr, code } = await node.tryExec(
      ['sh', '-c', 'mount --bind "$0" /var/lib && exec "$@"', stateFolder, join(plugins, plugin.type)],
      {
        input: JSON.stringify(input),
        env: {
          ...{ CNI_COMMAND: command, CNI_CONTAINERID: name, CNI_NETNS: path, CNI_IFNAME: 'eth0', CNI_PATH: plugins },
        },
      },
    );
    if (code !== 0) throw new CniRefused(plugin.type, command, messageOf(stdout) ?? `ended with ${code}: ${stderr}`);
    return stdout.trim() === '' ? undefined : (JSON.parse(stdout) as CniResult);
  }

  function containerOf(name: string): Container {
    const container = containers.get(name);
    if (!container) throw new Error(`no pod ${name} was added`);
    return container;
  }

  async function removeNamespace(name: string): Promise<void> {
    const { namespace, path } = containerOf(name);
    containers.delete(name);
    await run(['umount', path]);
    await namespace.remove();
  }

  async function remove(name: string): Promise<void> {
    for (const plugin of containerOf(name).conflist.plugins.toReversed()) await callPlugin('DEL', name, plugin);
    await removeNamespace(name);
  }

  return {
    stateFolder,
    async add(name, portMappings = []) {
      const conflist: Conflist = JSON.parse(await readFile(conflistPath, 'utf8'));
      const namespace = await createNamespace(name);
      // The node has a /run of its own, in which the rig's namespaces don't lie.
      const path = join(netns, name);
      await writeFile(path, '');
      await run(['mount', '--bind', `/run/netns/${name}`, path]);
      const container: Container = { namespace, path, portMappings, conflist, result: undefined };
      containers.set(name, container);
      try {
        for (const plugin of conflist.plugins) container.result = await callPlugin('ADD', name, plugin);
      } catch (error) {
        await remove(name);
        throw error;
      }
      const { result } = container;
      if (!result) throw new Error(`no plugin of ${conflistPath} gave a result`);
      const addresses = result.ips.map(({ address }) => address.replace(/\/\d+$/, ''));
      return { ...namespace, address: addresses[0] ?? '', addresses, result };
    },
    async check({ name }) {
      for (const plugin of containerOf(name).conflist.plugins) await callPlugin('CHECK', name, plugin);
    },
    remove: ({ name }) => remove(name),
    async close() {
      for (const name of containers.keys()) await removeNamespace(name);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Plugins tell errors on standard output. */
function messageOf(stdout: string): string | undefined {
  try {
    const { msg, details } = JSON.parse(stdout) as { readonly msg?: string; readonly details?: string };
    return details ? `${msg}; ${details}` : msg;
  } catch {
    return undefined;
  }
}
