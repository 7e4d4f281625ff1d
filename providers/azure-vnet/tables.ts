/** Reads route tables: the configured ones, else those of the nodes' subnets. One read for each subnet and each table. */
import * as z from 'zod';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { RouteTable, TableSelector } from '../provider.ts';
import { type Arm, apiVersions, inTurn } from './arm.ts';
import { type CallContext, unreadable } from './errors.ts';
import { armPath, kinds, networkOf, shortId } from './ids.ts';
import { isRawObject, type RawObject } from './raw-json.ts';
import { type RouteNames, routeEntry, routesOf, type Table, tableShape } from './routes.ts';

/** A table as it was read, and the part of it that is looked at. */
export interface RawTable {
  readonly id: string;
  readonly raw: RawObject;
  readonly table: Table;
}

const query = { 'api-version': apiVersions.network };

const subnetShape = z.object({
  properties: z.object({ routeTable: z.object({ id: z.string() }).nullish() }),
});

/** @throws NOT_FOUND naming a configured table or a subnet that does not exist, or a subnet that has no table. */
export async function readTables(
  arm: Arm,
  selector: TableSelector,
  names: RouteNames,
  signal: AbortSignal,
): Promise<readonly RouteTable[]> {
  const { subnetIds, networkId, alsoIds = [] } = selector;
  const configured = selector.tableIds.length > 0;
  const ids = configured
    ? await inTurn(selector.tableIds, (id) => fullTableId(arm, id, signal))
    : await inTurn(new Set(subnetIds), (id) => tableOfSubnet(arm, id, signal));
  const asked = new Set(ids);
  const tables = await inTurn(asked, (id) => readTable(arm, id, signal));
  const others = configured ? [] : [...new Set(alsoIds)].filter((id) => !asked.has(id) && armPath(id, kinds.table));
  const found = await inTurn(others, (id) => findTable(arm, id, signal));
  const also = found.filter((table) => table !== undefined && isOfNetwork(table.table, networkId));
  return [...tables, ...also.filter((table) => table !== undefined)].map((table) => seamTable(table, selector, names));
}

/** @throws NOT_FOUND. */
export async function readTable(arm: Arm, id: string, signal: AbortSignal): Promise<RawTable> {
  const table = await findTable(arm, id, signal);
  if (table) return table;
  throw new FlannelVpcError('NOT_FOUND', `Azure knows no route table ${id}`, {
    hint: 'correct RouteTable in net-conf (NAME, GROUP/NAME or SUBSCRIPTION/GROUP/NAME), or leave it out to take the tables of the nodes’ subnets',
    details: { action: 'Microsoft.Network/routeTables/read', tableIds: [id] },
  });
}

async function findTable(arm: Arm, id: string, signal: AbortSignal): Promise<RawTable | undefined> {
  const context: CallContext = { action: 'Microsoft.Network/routeTables/read', doing: `read the route table ${id}` };
  const path = armPath(id, kinds.table);
  if (!path) return undefined;
  const answer = await arm.find(context, { path, query }, signal);
  if (!answer) return undefined;
  const table = tableShape.safeParse(answer.body);
  if (!table.success || !isRawObject(answer.body)) throw unreadable(context);
  return { id, raw: answer.body, table: table.data };
}

/** Of a table in net-conf, which may leave out the resource group and the subscription of this machine. */
async function fullTableId(arm: Arm, id: string, signal: AbortSignal): Promise<string> {
  const parts = id.toLowerCase().split('/');
  if (parts.length >= 3) return parts.join('/');
  const { subscription, group } = await arm.machine(signal);
  return [subscription, ...(parts.length === 1 ? [group] : []), ...parts].join('/');
}

async function tableOfSubnet(arm: Arm, subnetId: string, signal: AbortSignal): Promise<string> {
  const action = 'Microsoft.Network/virtualNetworks/subnets/read';
  const context: CallContext = { action, doing: `read the subnet ${subnetId}` };
  const path = armPath(subnetId, kinds.subnet);
  const answer = path && (await arm.find(context, { path, query }, signal));
  if (!answer) {
    throw new FlannelVpcError('NOT_FOUND', `Azure knows no subnet ${subnetId}`, {
      hint: 'give RouteTable in net-conf, or correct AZURE_ENVIRONMENT',
      details: { action, subnetId },
    });
  }
  const subnet = subnetShape.safeParse(answer.body);
  if (!subnet.success) throw unreadable(context);
  const id = shortId(subnet.data.properties.routeTable?.id, kinds.table);
  if (id !== undefined) return id;
  const [, group, network, name] = subnetId.split('/');
  throw new FlannelVpcError('NOT_FOUND', `the subnet ${subnetId} has no route table`, {
    hint: `make one and associate it: az network route-table create -g ${group} -n TABLE; az network vnet subnet update -g ${group} --vnet-name ${network} -n ${name} --route-table TABLE`,
    details: { action, subnetId },
  });
}

/** A table that serves no subnet is of no network yet. */
function isOfNetwork(table: Table, networkId: string | undefined): boolean {
  const networks = networksOf(table);
  return networkId === undefined || networks.length === 0 || networks.includes(networkId);
}

function networksOf(table: Table): readonly string[] {
  return subnetsOf(table).map(networkOf);
}

function subnetsOf({ properties }: Table): readonly string[] {
  return (properties.subnets ?? []).flatMap(({ id }) => shortId(id, kinds.subnet) ?? []);
}

function seamTable({ id, table }: RawTable, { networkId, subnetIds }: TableSelector, names: RouteNames): RouteTable {
  const networks = networksOf(table);
  const serves = subnetsOf(table).some((subnet) => subnetIds.includes(subnet));
  return {
    id,
    networkId: networkId !== undefined && networks.includes(networkId) ? networkId : networks[0],
    routes: routesOf(table).map((route) => routeEntry(route, names)),
    association: serves ? 'explicit' : undefined,
  };
}
