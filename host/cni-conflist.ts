/**
 * The CNI conflist: how a container runtime puts pods on this node's subnet by the standard plugins (bridge, host-local, portmap),
 * without flannel's own one. Members are those of the plugins' documentation (containernetworking/plugins 0.8 to 1.x).
 */

import { unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import * as z from 'zod';
import { type Cidr, families, formatCidr, formatIp, nthAddress, type PerFamily, parseCidr } from '../src/core/ip.ts';
import { parseJson } from '../src/core/json.ts';
import { probeAddress } from '../src/core/probe-address.ts';
import { textOf, writeAtomically } from './atomic-file.ts';

export interface CniNetwork {
  /** Made by the agent: the plugin takes it as it is when the address is right. */
  readonly bridge: string;
  /** Bytes; the plugin gives it to bridge and pods. */
  readonly mtu: number;
  /** This node's. */
  readonly subnets: PerFamily<Cidr>;
  /** The whole cluster's. */
  readonly networks: PerFamily<Cidr>;
  /** Path of subnet.env as the container runtime sees it. */
  readonly subnetFile: string;
}

/**
 * The conflist's text. Its name, and so the folder that host-local keeps addresses in (/var/lib/cni/networks/cbr0), is flannel's: a node
 * that came from flannel's own plugin hands out no address twice.
 */
export function formatConflist(network: CniNetwork): string {
  const subnets = families.flatMap((family) => network.subnets[family] ?? []);
  const conflist = {
    // The oldest version with CHECK. Every plugin since 0.8 and every runtime takes it; 1.0.0 is too new for Ubuntu 22.04's plugins.
    cniVersion: '0.4.0',
    name: 'cbr0',
    plugins: [
      {
        type: 'bridge',
        bridge: network.bridge,
        isGateway: true,
        isDefaultGateway: true,
        hairpinMode: true,
        // The agent's rules do that; the plugin's would masquerade between pods of different nodes.
        ipMasq: false,
        mtu: network.mtu,
        ipam: {
          type: 'host-local',
          // One set of ranges for each family, and a pod gets an address of each.
          ranges: subnets.map((subnet) => [rangeOf(subnet)]),
          // As flannel's plugin: pods keep their way to the network where another plugin takes their default route.
          routes: families.flatMap((family) => {
            const [whole, subnet] = [network.networks[family], network.subnets[family]];
            // Without `gw` it is the same route, but the plugin's CHECK would not find it.
            return whole && subnet ? [{ dst: formatCidr(whole), gw: gatewayOf(subnet) }] : [];
          }),
          // host-local reads this file for each pod, finds no DNS settings in it, and fails where it is not there. So no pod starts
          // after a boot before the agent is ready: this conflist outlives the boot, and subnet.env in /run doesn't.
          resolvConf: network.subnetFile,
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
  return `${JSON.stringify(conflist, undefined, 2)}\n`;
}

/** host-local itself leaves out the gateway and IPv4's network address, which is the probe's. */
function rangeOf(subnet: Cidr): Readonly<Record<string, string>> {
  const range = { subnet: formatCidr(subnet), gateway: gatewayOf(subnet) };
  if (subnet.family === 4) return range;
  const probe = probeAddress(subnet);
  return { ...range, rangeEnd: formatIp({ ...probe, value: probe.value - 1n }) };
}

function gatewayOf(subnet: Cidr): string {
  return formatIp(nthAddress(subnet, 1));
}

const conflistSchema = z.object({
  plugins: z
    .array(z.object({ ipam: z.object({ ranges: z.array(z.array(z.object({ subnet: z.string() }))) }).optional() }))
    .min(1),
});

/** Does this text hand out addresses of these subnets and no other? False for what can't be read. */
export function handsOutFrom(text: string, subnets: PerFamily<Cidr>): boolean {
  let document: unknown;
  try {
    document = parseJson(text);
  } catch {
    return false;
  }
  const parsed = conflistSchema.safeParse(document);
  if (!parsed.success) return false;
  const found = parsed.data.plugins.flatMap(({ ipam }) => ipam?.ranges.flat() ?? []);
  const normal = found.map(({ subnet }) => {
    const cidr = parseCidr(subnet);
    return cidr ? formatCidr(cidr) : subnet;
  });
  const wanted = families.flatMap((family) => {
    const subnet = subnets[family];
    return subnet ? [formatCidr(subnet)] : [];
  });
  return normal.toSorted().join() === wanted.toSorted().join();
}

const ownSchema = z.object({
  plugins: z.tuple(
    [
      z.object({
        bridge: z.string(),
        mtu: z.number(),
        ipam: z.object({
          ranges: z.array(z.array(z.object({ subnet: z.string() }))),
          routes: z.array(z.object({ dst: z.string() })),
          resolvConf: z.string(),
        }),
      }),
    ],
    z.unknown(),
  ),
});

/** This program wrote the text, and nobody changed a letter since: written anew from what it says, it is the same. */
export function isOurConflist(text: string): boolean {
  let document: unknown;
  try {
    document = parseJson(text);
  } catch {
    return false;
  }
  const parsed = ownSchema.safeParse(document);
  if (!parsed.success) return false;
  const [{ bridge, mtu, ipam }] = parsed.data.plugins;
  const byFamily = (texts: readonly string[]): PerFamily<Cidr> =>
    Object.fromEntries(texts.flatMap((one) => parseCidr(one) ?? []).map((cidr) => [cidr.family, cidr]));
  const subnets = byFamily(ipam.ranges.flat().map(({ subnet }) => subnet));
  const networks = byFamily(ipam.routes.map(({ dst }) => dst));
  return formatConflist({ bridge, mtu, subnets, networks, subnetFile: ipam.resolvConf }) === text;
}

/** Writes the conflist unless it stands there already; true when it was written. Throws the file system's own errors. */
export async function writeConflist(path: string, network: CniNetwork): Promise<boolean> {
  const text = formatConflist(network);
  if ((await textOf(path)) === text) return false;
  // Runtimes take *.conf, *.conflist and *.json, the first by name: the temporary file must be none of these.
  await writeAtomically(path, text, `.${basename(path)}.tmp`);
  return true;
}

/**
 * Takes away a conflist of another subnet: what an earlier lease, or another machine with this disk, left. True when there was one.
 * Throws the file system's own errors.
 */
export async function withdrawConflist(path: string, subnets: PerFamily<Cidr>): Promise<boolean> {
  const text = await textOf(path);
  if (text === undefined || handsOutFrom(text, subnets)) return false;
  await unlink(path);
  return true;
}
