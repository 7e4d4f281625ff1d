/** Network interfaces (NICs), of machines and of scale sets' instances: how they are read and what of them is looked at. */
import * as z from 'zod';
import { type Family, formatIp, type Ip, parseIp } from '../../src/core/ip.ts';
import type { NextHop, RouteTarget } from '../provider.ts';
import { type Arm, type ArmRequest, apiVersions, inTurn } from './arm.ts';
import { type CallContext, unreadable } from './errors.ts';
import { armPath, isMember, kinds, networkOf, shortId } from './ids.ts';
import { canonicalMac } from './metadata.ts';

const nicShape = z.object({
  id: z.string(),
  properties: z.object({
    enableIPForwarding: z.boolean().nullish(),
    macAddress: z.string().nullish(),
    virtualMachine: z.object({ id: z.string() }).nullish(),
    networkSecurityGroup: z.object({ id: z.string() }).nullish(),
    ipConfigurations: z
      .array(
        z.object({
          properties: z.object({
            privateIPAddress: z.string().nullish(),
            primary: z.boolean().nullish(),
            subnet: z.object({ id: z.string() }).nullish(),
          }),
        }),
      )
      .nullish(),
  }),
});

/** One NIC, in our words. */
export interface Nic {
  readonly id: string;
  /** The machine that has it; undefined for one that lies about. */
  readonly instanceId: string | undefined;
  readonly mac: string | undefined;
  readonly forwards: boolean;
  /** Its network security group, if it has one of its own. */
  readonly firewallId: string | undefined;
  /** Primary ones first. */
  readonly addresses: readonly { readonly address: Ip; readonly subnetId: string | undefined }[];
}

const machineShape = z.object({
  properties: z.object({
    networkProfile: z.object({ networkInterfaces: z.array(z.object({ id: z.string() })).nullish() }).nullish(),
  }),
});

const nicQuery = { 'api-version': apiVersions.network };
const memberQuery = { 'api-version': apiVersions.memberNics };

/** The NIC in our words; undefined for what is none of those that routes can lead to. */
export function nicOf(body: unknown): Nic | undefined {
  const parsed = nicShape.safeParse(body);
  if (!parsed.success) return undefined;
  const { id, properties } = parsed.data;
  const own = shortId(id, kinds.nic) ?? shortId(id, kinds.memberNic);
  if (own === undefined) return undefined;
  const member = shortId(id, kinds.memberNic) === undefined ? undefined : own.split('/').slice(0, 4).join('/');
  const machine = properties.virtualMachine?.id;
  const addresses = (properties.ipConfigurations ?? []).flatMap(({ properties: each }) => {
    const address = parseIp(each.privateIPAddress ?? '');
    const entry = { address, subnetId: shortId(each.subnet?.id, kinds.subnet), primary: each.primary === true };
    return address ? [{ ...entry, address }] : [];
  });
  return {
    id: own,
    instanceId: member ?? shortId(machine, kinds.machine) ?? shortId(machine, kinds.member),
    mac: canonicalMac(properties.macAddress ?? ''),
    forwards: properties.enableIPForwarding === true,
    firewallId: shortId(properties.networkSecurityGroup?.id, kinds.firewall),
    addresses: addresses.sort((a, b) => Number(b.primary) - Number(a.primary)),
  };
}

/** A NIC as the next hop of routes, which show its addresses; of its family the one that was claimed. */
export function nextHopOf(nic: Nic, claimed: Ip): NextHop {
  const text = formatIp(claimed);
  const subnetId = nic.addresses.find(({ address }) => formatIp(address) === text)?.subnetId;
  const first = (family: Family): Ip | undefined =>
    family === claimed.family ? claimed : nic.addresses.find(({ address }) => address.family === family)?.address;
  const target = (family: Family): RouteTarget | undefined => {
    const address = first(family);
    return address && { kind: 'address', id: formatIp(address) };
  };
  const [target4, target6] = [target(4), target(6)];
  return {
    nicId: nic.id,
    instanceId: nic.instanceId,
    subnetId,
    networkId: subnetId === undefined ? undefined : networkOf(subnetId),
    forwards: nic.forwards,
    addresses: nic.addresses.map(({ address }) => address),
    target: { ...(target4 && { 4: target4 }), ...(target6 && { 6: target6 }) },
  };
}

/** The request that reads one NIC by our id; undefined for what is no id of a NIC. */
export function nicRequest(nicId: string): ArmRequest | undefined {
  const plain = armPath(nicId, kinds.nic);
  if (plain) return { path: plain, query: nicQuery };
  const member = armPath(nicId, kinds.memberNic);
  return member ? { path: member, query: memberQuery } : undefined;
}

/** The NICs of one machine: two reads, one for a scale set's instance. None where there is no such machine. */
export async function nicsOfInstance(arm: Arm, instanceId: string, signal: AbortSignal): Promise<readonly Nic[]> {
  if (isMember(instanceId)) return await nicsOfMember(arm, instanceId, signal);
  const path = armPath(instanceId, kinds.machine);
  if (!path) return [];
  const context: CallContext = {
    action: 'Microsoft.Compute/virtualMachines/read',
    doing: `look up the machine ${instanceId}`,
  };
  const answer = await arm.find(context, { path, query: { 'api-version': apiVersions.compute } }, signal);
  if (!answer) return [];
  const machine = machineShape.safeParse(answer.body);
  if (!machine.success) throw unreadable(context);
  const ids = machine.data.properties.networkProfile?.networkInterfaces ?? [];
  const nics = await inTurn(ids, async ({ id }) => {
    const nicId = shortId(id, kinds.nic);
    return nicId === undefined ? undefined : await readNic(arm, nicId, signal);
  });
  return nics.filter((nic) => nic !== undefined);
}

/** One NIC by our id; undefined where it is gone. */
export async function readNic(arm: Arm, nicId: string, signal: AbortSignal): Promise<Nic | undefined> {
  const context: CallContext = {
    action: 'Microsoft.Network/networkInterfaces/read',
    doing: `look up the network interface ${nicId}`,
  };
  const request = nicRequest(nicId);
  const answer = request && (await arm.find(context, request, signal));
  if (!answer) return undefined;
  const nic = nicOf(answer.body);
  if (!nic) throw unreadable(context);
  return nic;
}

async function nicsOfMember(arm: Arm, instanceId: string, signal: AbortSignal): Promise<readonly Nic[]> {
  const path = armPath(instanceId, kinds.member);
  if (!path) return [];
  const context: CallContext = {
    action: 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/read',
    doing: `look up the network interfaces of ${instanceId}`,
  };
  return await listNics(arm, context, { path: `${path}/networkInterfaces`, query: memberQuery }, signal);
}

/** All NICs of a subscription that are no scale set's. */
export async function nicsOfSubscription(arm: Arm, subscription: string, signal: AbortSignal): Promise<readonly Nic[]> {
  const context: CallContext = {
    action: 'Microsoft.Network/networkInterfaces/read',
    doing: `list the network interfaces of subscription ${subscription}`,
  };
  const path = `/subscriptions/${encodeURIComponent(subscription)}/providers/Microsoft.Network/networkInterfaces`;
  return (await arm.list(context, { path, query: nicQuery }, signal)).flatMap((body) => nicOf(body) ?? []);
}

/** All NICs of a scale set's instances; none where there is no such set. */
export async function nicsOfScaleSet(arm: Arm, scaleSetId: string, signal: AbortSignal): Promise<readonly Nic[]> {
  const path = armPath(scaleSetId, kinds.scaleSet);
  if (!path) return [];
  const context: CallContext = {
    action: 'Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read',
    doing: `list the network interfaces of the scale set ${scaleSetId}`,
  };
  return await listNics(arm, context, { path: `${path}/networkInterfaces`, query: memberQuery }, signal);
}

/** A list that may be of something that is gone. */
async function listNics(
  arm: Arm,
  context: CallContext,
  request: ArmRequest,
  signal: AbortSignal,
): Promise<readonly Nic[]> {
  return (await arm.listIfThere(context, request, signal)).flatMap((body) => nicOf(body) ?? []);
}
