/** A pod as a CNI bridge plugin makes one: a namespace on the node's bridge, with an address of the bridge's network. */
import { createNamespace, type Namespace } from './namespace.ts';
import { run } from './process.ts';

export interface Pod extends Namespace {
  readonly address: string;
  /** Where the bridge has an IPv6 address of more than the link. */
  readonly address6: string | undefined;
}

interface BridgeState {
  readonly mtu: number;
  readonly addr_info: readonly {
    readonly family: string;
    readonly scope: string;
    readonly local: string;
    readonly prefixlen: number;
  }[];
}

let count = 0;

/** Adds a pod. `others` are the node's pods, whose addresses are taken. @throws Error while the bridge has no address. */
export async function addPod(
  node: Namespace,
  name: string,
  bridge: string,
  others: readonly { readonly address: string }[],
): Promise<Pod> {
  const [state]: BridgeState[] = JSON.parse(await node.exec(['ip', '-j', 'addr', 'show', 'dev', bridge]));
  const own = state?.addr_info.find((each) => each.family === 'inet');
  const own6 = state?.addr_info.find((each) => each.family === 'inet6' && each.scope === 'global');
  if (!state || !own) throw new Error(`${bridge} on ${node.name} has no IPv4 address yet`);
  const taken = new Set([own.local, ...others.map((pod) => pod.address)]);
  const address = nextAddress(own.local, taken);
  const port = `pod${++count}`;
  const namespace = await createNamespace(name);
  await run([
    ...['ip', 'link', 'add', port, 'mtu', `${state.mtu}`, 'netns', node.name, 'type', 'veth'],
    ...['peer', 'name', 'eth0', 'mtu', `${state.mtu}`, 'netns', name],
  ]);
  await node.ip(`link set ${port} master ${bridge}`, `link set ${port} up`);
  await namespace.ip(
    `addr add ${address}/${own.prefixlen} dev eth0`,
    'link set eth0 up',
    `route add default via ${own.local}`,
  );
  // The bridge's own ends in 1; pods count on beside their IPv4 address.
  const address6 = own6?.local.replace(/1$/, Number(address.split('.').at(-1)).toString(16));
  if (own6 && address6 !== undefined) {
    await namespace.ip(
      `addr add ${address6}/${own6.prefixlen} dev eth0 nodad`,
      `route add default via ${own6.local} dev eth0`,
    );
  }
  return { ...namespace, address, address6 };
}

/** The first address above the bridge's own that is not taken. */
function nextAddress(bridgeAddress: string, taken: ReadonlySet<string>): string {
  const [a, b, c, d] = bridgeAddress.split('.').map(Number);
  for (let last = (d ?? 0) + 1; last < 255; last++) {
    const candidate = [a, b, c, last].join('.');
    if (!taken.has(candidate)) return candidate;
  }
  throw new Error(`no address is left after ${bridgeAddress}`);
}
