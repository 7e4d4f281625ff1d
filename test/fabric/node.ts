/** A node: an instance in a VPC with its own kernel settings, its own /run and, once its bridge is there, pods. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectToRig, type MetadataPlace } from './management.ts';
import { createNamespace, type Namespace } from './namespace.ts';
import { addPod, type Pod } from './pod.ts';
import type { Nic, Vpc } from './vpc.ts';

export interface NodeOptions {
  readonly vpc: Vpc;
  /** At most 12 letters; names its namespace. */
  readonly name: string;
  readonly instanceId: string;
  readonly nicId: string;
  readonly subnetId: string;
  /** IPv4 address of eth0. */
  readonly address: string;
  /** IPv6 address of eth0; none when absent. */
  readonly address6?: string | undefined;
  /** 1 refuses what would not be answered the same way, 2 what could not be answered at all. */
  readonly rpFilter: 1 | 2;
  /** Does the kernel forward from the start? Default no: a program that needs it sets it. */
  readonly forwards?: boolean;
  /** Default `node`. */
  readonly metadata?: MetadataPlace;
}

export interface Node extends Namespace {
  readonly vpc: Vpc;
  readonly instanceId: string;
  readonly nic: Nic;
  readonly address: string;
  readonly address6: string | undefined;
  /** The node's address on the link to the rig. */
  readonly managementAddress: string;
  /** What programs on the node see as /run. */
  readonly runFolder: string;
  /** Text of a file the node sees below /run, such as `/run/flannel/subnet.env`; undefined while there is none. */
  readRun(path: string): Promise<string | undefined>;
  /** The variables of `/run/flannel/subnet.env`; undefined while there is none. */
  subnetEnv(): Promise<Readonly<Record<string, string>> | undefined>;
  /** Puts a pod on a bridge, with the next free address of the bridge's network. */
  addPod(name: string, bridge: string): Promise<Pod>;
}

/** Plugs a new node into the VPC. Its source/destination check is on, its mgmt0 leads to the rig. */
export async function createNode(options: NodeOptions): Promise<Node> {
  const {
    vpc,
    name,
    instanceId,
    nicId,
    subnetId,
    address,
    address6,
    rpFilter,
    forwards = false,
    metadata = 'node',
  } = options;
  const runFolder = await mkdtemp(join(tmpdir(), `flannel-vpc-node-${name}-`));
  // Where iptables and ip keep their locks and names.
  for (const folder of ['netns', 'lock']) await mkdir(join(runFolder, folder));
  const namespace = await createNamespace(name, { runFolder });
  const bridgeNetfilter = existsSync('/proc/sys/net/bridge')
    ? { 'bridge/bridge-nf-call-iptables': 1, 'bridge/bridge-nf-call-ip6tables': 1 }
    : {};
  await namespace.sysctl({
    'ipv4/ip_forward': forwards ? 1 : 0,
    'ipv4/conf/all/rp_filter': rpFilter,
    'ipv4/conf/default/rp_filter': rpFilter,
    'ipv4/conf/all/proxy_arp': 0,
    ...bridgeNetfilter,
  });
  // Somebody else's rule that needs connection tracking: with none, the kernel would not track, and NAT would be laxer.
  await namespace.exec(['nft', '-f', '-'], {
    input:
      'table ip unrelated {\n chain input {\n  type filter hook input priority 10;\n  ct state invalid counter\n }\n}\n',
  });
  const nic = await vpc.addNic({ nicId, subnetId, address, address6, namespace, link: 'eth0' });
  const managementAddress = await connectToRig(namespace, metadata);
  const pods = new Map<string, Pod>();

  const node: Node = {
    ...namespace,
    vpc,
    instanceId,
    nic,
    address,
    address6,
    managementAddress,
    runFolder,
    async readRun(path) {
      return await readFile(join(runFolder, path.replace(/^\/run\//, '')), 'utf8').catch(() => undefined);
    },
    async subnetEnv() {
      const text = await node.readRun('/run/flannel/subnet.env');
      return text === undefined ? undefined : parseSubnetEnv(text);
    },
    async addPod(podName, bridge) {
      const pod = await addPod(node, `${name}-${podName}`, bridge, [...pods.values()]);
      pods.set(podName, pod);
      return pod;
    },
    async remove() {
      for (const pod of pods.values()) await pod.remove();
      await vpc.removeNic(nicId);
      await namespace.remove();
      await rm(runFolder, { recursive: true, force: true });
    },
  };
  return node;
}

function parseSubnetEnv(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}
