/** What stands in the subscription from the start, and how machines come into it. */
import { createHash, randomUUID } from 'node:crypto';
import { cidrContainsIp, formatIp, networkAddress, parseCidr, parseIp } from '../../../src/core/ip.ts';
import { History } from '../simulator/history.ts';
import { formatId, respelled, shorten } from './ids.ts';
import { type JsonObject, parseJson } from './json.ts';
import {
  type AzureState,
  type Machine,
  type Nic,
  newEtag,
  type StoredRoute,
  type Subnet,
  type Table,
} from './state.ts';

export interface TableSeed {
  readonly group: string;
  readonly name: string;
  readonly tags: JsonObject | undefined;
  /** Default the world's own. */
  readonly subscription?: string | undefined;
}

/**
 * Two routes that are somebody else's stand in every table, and members that no API version knows stand everywhere: what a client
 * reads and does not understand it must give back.
 */
export function addTable(
  state: AzureState,
  { group, name, tags, subscription = state.subscription }: TableSeed,
): Table {
  const id = formatId({ subscription, group, namespace: 'Microsoft.Network', types: ['routeTables'], names: [name] });
  state.groups.add(`${subscription}/${group}`.toLowerCase());
  const routes: readonly StoredRoute[] = [
    {
      name: 'Default_to.firewall',
      properties: {
        addressPrefix: '0.0.0.0/0',
        nextHopType: 'Internet',
        routePreference: { weight: 0.5, tiers: ['primary', null, { backup: true }] },
      },
      extras: {},
      fixed: true,
    },
    {
      name: 'to-hub',
      properties: {
        addressPrefix: '172.30.0.0/16',
        nextHopType: 'VirtualNetworkGateway',
        // Digits that a number of JavaScript loses.
        pathTelemetry: parseJson('{"enabled":true,"sample":1.50,"epoch":9007199254740993,"note":"ä “quoted” \\\\ /"}'),
      },
      extras: { governance: { owner: 'network-team', revision: 12 } },
      fixed: true,
    },
  ];
  const table: Table = {
    id,
    location: state.location,
    tags,
    resourceGuid: randomUUID(),
    extras: { managedBy: null, placement: { zones: ['1', '2'], policy: {} } },
    propertyExtras: { routeSharing: { scope: 'Local', peers: [] } },
    content: new History({
      etag: newEtag(),
      state: 'Succeeded',
      settings: { disableBgpRoutePropagation: true },
      routes,
    }),
    effective: routes,
    writer: undefined,
    locked: false,
  };
  state.tables.set(shorten(id), table);
  return table;
}

export interface MachineSeed {
  readonly group: string;
  readonly name: string;
  readonly subnet: Subnet;
  readonly zone: string;
  readonly address: string;
  readonly address6: string | undefined;
  readonly forwards: boolean;
  /** The scale set it is a member of, by `number`. */
  readonly scaleSet?: { readonly name: string; readonly number: number } | undefined;
}

/** Makes a machine with one NIC. @throws Error the address is taken, or not the subnet's */
export function addMachine(state: AzureState, seed: MachineSeed): { readonly machine: Machine; readonly nic: Nic } {
  const { subnet, address, address6, scaleSet, group } = seed;
  const ip = parseIp(address);
  const prefix = parseCidr(subnet.prefixes[0] ?? '');
  if (!ip || !prefix || !cidrContainsIp(prefix, ip)) throw new Error(`${address} is not an address of ${subnet.id}`);
  if (state.ownerOf(formatIp(ip))) throw new Error(`${address} is taken`);
  const { subscription } = state;
  const base = { subscription, group } as const;
  const machineId = scaleSet
    ? formatId({
        ...base,
        namespace: 'Microsoft.Compute',
        types: ['virtualMachineScaleSets', 'virtualMachines'],
        names: [scaleSet.name, String(scaleSet.number)],
      })
    : formatId({ ...base, namespace: 'Microsoft.Compute', types: ['virtualMachines'], names: [seed.name] });
  const nicName = scaleSet ? `${scaleSet.name}-Nic` : `${seed.name}-Nic`;
  const nicId = scaleSet
    ? `${machineId}/networkInterfaces/${nicName}`
    : formatId({ ...base, namespace: 'Microsoft.Network', types: ['networkInterfaces'], names: [nicName] });
  const addresses = [address, ...(address6 === undefined ? [] : [address6])];
  const nic: Nic = {
    id: nicId,
    subnet,
    addresses,
    machineId,
    scaleSet: scaleSet !== undefined,
    content: new History({
      document: nicContent(state, { nicId, nicName, machineId, subnet, addresses, forwards: seed.forwards }),
      etag: newEtag(),
      state: 'Succeeded',
    }),
    forwards: seed.forwards,
    writer: undefined,
  };
  const machine: Machine = {
    id: machineId,
    name: scaleSet ? `${scaleSet.name}_${scaleSet.number}` : seed.name,
    vmId: randomUUID(),
    zone: seed.zone,
    nicIds: [nicId],
    power: 'running',
  };
  state.groups.add(`${subscription}/${group}`.toLowerCase());
  state.nics.set(shorten(nicId), nic);
  state.machines.set(shorten(machineId), machine);
  return { machine, nic };
}

/** Microsoft's own prefix, and then something that is the address's. Twelve digits in capitals. */
export function macOf(address: string): string {
  return `000D3A${createHash('sha256').update(address).digest('hex').slice(0, 6)}`.toUpperCase();
}

function nicContent(
  state: AzureState,
  nic: {
    readonly nicId: string;
    readonly nicName: string;
    readonly machineId: string;
    readonly subnet: Subnet;
    readonly addresses: readonly string[];
    readonly forwards: boolean;
  },
): JsonObject {
  const { nicId, nicName, machineId, subnet, addresses } = nic;
  const group = subnet.securityGroupId;
  const mac = macOf(addresses[0] ?? '').match(/../g) ?? [];
  return {
    name: nicName,
    id: nicId,
    type: 'Microsoft.Network/networkInterfaces',
    location: state.location,
    tags: { 'cost-centre': '4711' },
    kind: 'Regular',
    properties: {
      resourceGuid: randomUUID(),
      ipConfigurations: addresses.map((address, index) => ({
        name: index === 0 ? 'ipconfig1' : 'ipconfig-v6',
        id: `${nicId}/ipConfigurations/${index === 0 ? 'ipconfig1' : 'ipconfig-v6'}`,
        type: 'Microsoft.Network/networkInterfaces/ipConfigurations',
        properties: {
          provisioningState: 'Succeeded',
          privateIPAddress: address,
          privateIPAllocationMethod: 'Static',
          subnet: { id: respelled(subnet.id) },
          primary: index === 0,
          privateIPAddressVersion: address.includes(':') ? 'IPv6' : 'IPv4',
          addressReservation: { kept: true, since: '2026-01-01' },
        },
      })),
      dnsSettings: { dnsServers: [], appliedDnsServers: [] },
      macAddress: mac.join('-'),
      vnetEncryptionSupported: false,
      enableIPForwarding: nic.forwards,
      enableAcceleratedNetworking: true,
      disableTcpStateTracking: false,
      ...(group === undefined ? {} : { networkSecurityGroup: { id: respelled(group) } }),
      primary: true,
      virtualMachine: { id: respelled(machineId) },
      hostedWorkloads: [],
      tapConfigurations: [],
      nicType: 'Standard',
      auxiliaryMode: 'None',
      auxiliarySku: 'None',
      queuePlacement: parseJson('{"mode":"Auto","queues":4.0}'),
    },
  };
}

/** The address of the /64 that ends in the same number as the IPv4 one. */
export function address6Beside(subnet: Subnet, address: string): string | undefined {
  const cidr = parseCidr(subnet.prefixes[1] ?? '');
  if (!cidr) return undefined;
  const last = BigInt(address.split('.').at(-1) ?? 0);
  return formatIp({ family: 6, value: networkAddress(cidr).value + last });
}
