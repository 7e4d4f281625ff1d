/**
 * What stands in a new account: a VPC with IPv6, two vSwitches (the first on a custom table, the second on the system table), a
 * gateway's table, and other people's routes.
 */
import { cidrOf, formatCidr, nthAddress, parseCidr } from '../../../src/core/ip.ts';
import { History } from '../simulator/history.ts';
import type { NextHopType } from './schemas.ts';
import { Account, cidr, type Entry, newId, type Table, type Vpc, type VSwitch } from './state.ts';

export interface TopologyOptions {
  /** Default `cn-hangzhou`. */
  readonly region?: string | undefined;
  /** Default `10.0.0.0/16`. */
  readonly vpcCidr?: string | undefined;
  /** Default `10.0.1.0/24` (custom table) and `10.0.2.0/24` (system table). */
  readonly vSwitchCidrs?: readonly [string, string] | undefined;
  /** Default true. */
  readonly ipv6?: boolean | undefined;
}

/** A peer's network, in every table from the start. */
export const peerNetwork = '172.30.0.0/16';
const vpcCidr6 = '2408:4005:3a2:d100::/56';

export function newAccount(options: TopologyOptions = {}): {
  readonly account: Account;
  readonly vpc: Vpc;
  readonly vSwitches: readonly [VSwitch, VSwitch];
} {
  const { region = 'cn-hangzhou', vpcCidr = '10.0.0.0/16', ipv6 = true } = options;
  const { vSwitchCidrs = ['10.0.1.0/24', '10.0.2.0/24'] } = options;
  const account = new Account(region);
  const vpc: Vpc = {
    ...{ id: newId('vpc'), cidr: vpcCidr, cidr6: ipv6 ? vpcCidr6 : undefined, secondaryCidrs: [] },
    ...{ routerId: newId('vrt'), status: 'Available', busy: false },
  };
  account.vpcs.set(vpc.id, vpc);
  const gateway = addGateway(account, 'Ipv4Gateway', 'ipv4gw');
  const peering = addGateway(account, 'VpcPeer', 'pcc');
  const system = addTable(account, vpc, { name: '', type: 'System' });
  const custom = addTable(account, vpc, { name: 'nodes', type: 'Custom' });
  const ofGateway = addTable(account, vpc, { name: 'gateway', type: 'Custom', gatewayIds: [gateway] });
  const vSwitches = [
    addVSwitch(account, vpc, { cidr: vSwitchCidrs[0], zone: `${region}-h`, tableId: custom.id, place: 0 }),
    addVSwitch(account, vpc, { cidr: vSwitchCidrs[1], zone: `${region}-i`, tableId: system.id, place: 1 }),
  ] as const;
  for (const { id: tableId } of [system, custom, ofGateway]) {
    for (const { cidr: own, cidr6 } of vSwitches) {
      addStanding(account, { tableId, destination: own, type: 'System', hops: [{ type: 'local', id: '' }] });
      if (cidr6)
        addStanding(account, { tableId, destination: cidr6, type: 'System', hops: [{ type: 'local', id: '' }] });
    }
    const services = { destination: '100.64.0.0/10', hops: [{ type: 'service', id: '' }] } as const;
    addStanding(account, { tableId, type: 'System', ...services });
    if (tableId === ofGateway.id) continue;
    addStanding(account, {
      ...{ tableId, destination: '0.0.0.0/0', hops: [{ type: 'Ipv4Gateway', id: gateway }] },
      ...{ name: 'internet', description: 'way out', extra: { Origin: 'RouteTable', ManagedBy: 'somebody' } },
    });
    addStanding(account, {
      ...{ tableId, destination: peerNetwork, hops: [{ type: 'VpcPeer', id: peering }] },
      ...{
        name: 'peer',
        extra: { Origin: 'RouteTable', RoutePublishStatus: 'NonPublished', X: { nested: [1, null] } },
      },
    });
  }
  const { rules, id: groupId } = account.securityGroup;
  const all = { direction: 'ingress', policy: 'Accept', protocol: 'ALL', ports: '-1/-1', priority: 1 } as const;
  rules.push({ ...all, groupId }, { ...all, direction: 'egress', cidr: '0.0.0.0/0' });
  return { account, vpc, vSwitches };
}

/** An entry that is there, by nobody's call. */
export function addStanding(
  account: Account,
  fields: Pick<Entry, 'tableId' | 'destination' | 'hops'> & Partial<Entry>,
): Entry {
  const plain = { type: 'Custom', status: 'Available', name: '', description: '', serviceType: '' } as const;
  return account.addEntry({ ...plain, live: fields.hops, ...fields });
}

/** A gateway that entries can lead to. Its id. */
export function addGateway(account: Account, type: NextHopType, kind: string): string {
  const id = newId(kind);
  account.gateways.set(id, type);
  return id;
}

export function addTable(
  account: Account,
  vpc: Vpc,
  { name, type, gatewayIds = [] }: Pick<Table, 'name' | 'type'> & { readonly gatewayIds?: readonly string[] },
): Table {
  const table: Table = {
    ...{ id: newId('vtb'), vpcId: vpc.id, name, type, gatewayIds, tags: new Map<string, string>() },
    associateType: gatewayIds.length > 0 ? 'Gateway' : 'VSwitch',
    entries: new History<readonly Entry[]>([]),
  };
  account.tables.set(table.id, table);
  return table;
}

function addVSwitch(
  account: Account,
  vpc: Vpc,
  {
    cidr: own,
    zone,
    tableId,
    place,
  }: { readonly cidr: string; readonly zone: string; readonly tableId: string } & {
    readonly place: number;
  },
): VSwitch {
  const range = vpc.cidr6 === undefined ? undefined : cidr(vpc.cidr6);
  const cidr6 = range && formatCidr(cidrOf(nthAddress(range, BigInt(place) << 64n), 64));
  const one: VSwitch = { id: newId('vsw'), vpcId: vpc.id, cidr: own, cidr6, zone, tableId };
  account.vSwitches.set(one.id, one);
  return one;
}

/** The IPv6 address of the vSwitch that ends in the same number as the IPv4 one. */
export function addressBeside(vSwitch: VSwitch, address: string): string | undefined {
  const range = vSwitch.cidr6 === undefined ? undefined : parseCidr(vSwitch.cidr6);
  const last = Number(address.split('.').at(-1));
  return range && formatCidr(cidrOf(nthAddress(range, last), 128)).replace(/\/128$/, '');
}
