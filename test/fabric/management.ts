/**
 * Links between the rig (etcd, emulators, the tests themselves) and each node, beside the VPC: point to point, without a
 * default route, so that no node reaches another one by them.
 */
import type { Namespace } from './namespace.ts';
import { run } from './process.ts';
import { assertInRig } from './rig.ts';

/** The rig's own address, where nodes find servers. */
export const rigAddress = '172.31.255.1';
/** Where clouds answer questions about the instance that asks. */
export const metadataAddress = '169.254.169.254';

let prepared: Promise<void> | undefined;
let count = 0;

/**
 * Where a node finds its metadata server: `node` puts the address on the node, for a server that runs there; `rig` leads
 * it to the rig, where one server can tell nodes apart by their management address.
 */
export type MetadataPlace = 'node' | 'rig';

/** Gives the node `mgmt0`. @returns its address there. */
export async function connectToRig(node: Namespace, metadata: MetadataPlace): Promise<string> {
  prepared ??= prepareRig();
  await prepared;
  // Only where it is asked for: on the rig's loopback it hides every other server at that address.
  if (metadata === 'rig') await run(['ip', 'addr', 'replace', `${metadataAddress}/32`, 'dev', 'lo']);
  const number = ++count;
  if (number > 250) throw new Error('no management address is left');
  const address = `172.31.255.${number + 2}`;
  const link = `mgmt${number}`;
  await run(['ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'mgmt0', 'netns', node.name]);
  await run(['ip', '-batch', '-'], {
    input: `link set ${link} up\nroute add ${address}/32 dev ${link} src ${rigAddress}\n`,
  });
  await node.ip(
    `addr add ${address}/32 dev mgmt0`,
    'link set mgmt0 up',
    `route add ${rigAddress}/32 dev mgmt0 src ${address}`,
    metadata === 'rig'
      ? `route add ${metadataAddress}/32 dev mgmt0 src ${address}`
      : `addr add ${metadataAddress}/32 dev lo`,
  );
  return address;
}

async function prepareRig(): Promise<void> {
  assertInRig();
  await run(['sysctl', '-q', '-p', '-'], { input: 'net/ipv4/ip_forward=0\nnet/ipv4/conf/all/rp_filter=0\n' });
  await run(['ip', '-batch', '-'], {
    input: `addr replace ${rigAddress}/32 dev lo\n`,
  });
}
