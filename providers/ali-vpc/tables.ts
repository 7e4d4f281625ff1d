/** Reads route tables: the configured ones, else those of the VPC that serve the nodes' vSwitches. Then the entries of each. */
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import type { Cidr } from '../../src/core/ip.ts';
import type { RouteTable, TableSelector, TableTag } from '../provider.ts';
import { type Entry, type Table, tableList } from './answers.ts';
import type { AlibabaApi, ApiParameters } from './api.ts';
import { readEntries, routeEntry } from './entries.ts';
import { allByNumber } from './pages.ts';

/** Most tables in one page that DescribeRouteTableList allows. */
const maxPageSize = 50;

export interface TableReadOptions {
  /** The pod networks, for our mark. */
  readonly networks: readonly Cidr[];
  /** Net-conf's limit, since the API tells none. */
  readonly routeLimit?: number | undefined;
  /** Tables and entries in one page; the APIs' most when absent. For tests. */
  readonly pageSize?: number | undefined;
  /** Told of all entries of a table as they were read. */
  onEntries(tableId: string, entries: readonly Entry[]): void;
}

/** @throws NOT_FOUND naming a configured table that does not exist, a tag that no table has, or a vSwitch that no table serves. */
export async function readTables(
  api: AlibabaApi,
  selector: TableSelector,
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly RouteTable[]> {
  const { networks, routeLimit, pageSize, onEntries } = options;
  const chosen = await chosenTables(api, selector, signal, options);
  const tables: RouteTable[] = [];
  for (const table of chosen) {
    const id = table.RouteTableId;
    const entries = await readEntries(api, id, signal, { pageSize });
    onEntries(id, entries);
    tables.push({
      id,
      networkId: table.VpcId,
      routes: entries.map((entry) => routeEntry(entry, networks)),
      routeLimit,
      association: associationOf(table, selector.subnetIds),
    });
  }
  return tables;
}

async function chosenTables(
  api: AlibabaApi,
  selector: TableSelector,
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Table[]> {
  const { tableIds, tag, networkId } = selector;
  if (tableIds.length > 0) return await configuredTables(api, tableIds, signal, options);
  if (tag !== undefined) return await taggedTables(api, tag, networkId, signal, options);
  return await servingTables(api, selector, signal, options);
}

async function configuredTables(
  api: AlibabaApi,
  tableIds: readonly string[],
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Table[]> {
  const ids = [...new Set(tableIds)];
  const found = await tablesById(api, ids, signal, options);
  const missing = ids.filter((id) => !found.some(({ RouteTableId }) => RouteTableId === id));
  if (missing.length === 0) return found;
  throw new FlannelVpcError(
    'NOT_FOUND',
    `Alibaba Cloud knows no route table ${missing.join(', ')} in this account and region`,
    {
      hint: 'correct RouteTableID in net-conf, or leave it out to have the tables found; or correct RegionID',
      details: { action: 'vpc:DescribeRouteTableList', tableIds: missing },
    },
  );
}

/** Those of the tables that are there; one request for each. */
async function tablesById(
  api: AlibabaApi,
  ids: readonly string[],
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Table[]> {
  const found: Table[] = [];
  for (const id of new Set(ids)) {
    try {
      const tables = await listTables(api, { RouteTableId: id }, id, signal, options);
      found.push(...tables.filter(({ RouteTableId }) => RouteTableId === id));
    } catch (error) {
      if (!isFlannelVpcError(error, 'NOT_FOUND')) throw error;
    }
  }
  return found;
}

async function taggedTables(
  api: AlibabaApi,
  { key, value }: TableTag,
  networkId: string | undefined,
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Table[]> {
  const where = networkId ?? 'this account and region';
  const filter: ApiParameters = networkId === undefined ? {} : { VpcId: networkId };
  const all = await listTables(api, filter, where, signal, options);
  const tables = all.filter(({ Tags }) => Tags.some((tag) => tag.Key === key && (tag.Value ?? '') === value));
  if (tables.length > 0) return tables;
  throw new FlannelVpcError('NOT_FOUND', `no route table of ${where} has the tag ${key}=${value}`, {
    hint: 'tag every table that serves nodes (aliyun vpc TagResources --ResourceType ROUTETABLE …), or name the tables by RouteTableID',
    details: { action: 'vpc:DescribeRouteTableList', networkId, tag: `${key}=${value}` },
  });
}

async function servingTables(
  api: AlibabaApi,
  { networkId, subnetIds, alsoIds = [] }: TableSelector,
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Table[]> {
  if (subnetIds.length === 0 && alsoIds.length === 0) return [];
  if (networkId === undefined && subnetIds.length === 0) return await tablesById(api, alsoIds, signal, options);
  if (networkId === undefined) {
    throw new FlannelVpcError('INVALID', 'the VPC is not known, so its route tables cannot be found', {
      hint: 'give RouteTableID in net-conf',
    });
  }
  const all = await listTables(api, { VpcId: networkId }, networkId, signal, options);
  // A gateway's table decides for what comes in by the gateway, and serves no vSwitch.
  const tables = all.filter(({ AssociateType }) => AssociateType !== 'Gateway');
  const system = tables.find(({ RouteTableType }) => RouteTableType === 'System');
  const chosen = new Set<Table>();
  for (const subnetId of subnetIds) {
    const table = tables.find(({ VSwitchIds }) => VSwitchIds.includes(subnetId)) ?? system;
    if (!table) {
      throw new FlannelVpcError('NOT_FOUND', `no route table of ${networkId} serves vSwitch ${subnetId}`, {
        hint: 'bind a table to the vSwitch (aliyun vpc AssociateRouteTable), or give RouteTableID in net-conf',
        details: { action: 'vpc:DescribeRouteTableList', networkId, subnetId },
      });
    }
    chosen.add(table);
  }
  for (const table of tables) if (alsoIds.includes(table.RouteTableId)) chosen.add(table);
  return [...chosen];
}

async function listTables(
  api: AlibabaApi,
  filter: ApiParameters,
  what: string,
  signal: AbortSignal,
  { pageSize = maxPageSize }: TableReadOptions,
): Promise<readonly Table[]> {
  const context = { action: 'vpc:DescribeRouteTableList', doing: `read the route tables of ${what}` };
  return await allByNumber(pageSize, async (page) => {
    const parameters = { ...filter, ...page };
    const { RouterTableList, TotalCount } = await api.call(context, signal, { parameters, answer: tableList });
    return { items: RouterTableList, total: TotalCount };
  });
}

/** A VPC's system table serves every vSwitch that is bound to no other. */
function associationOf({ RouteTableType, VSwitchIds }: Table, subnetIds: readonly string[]): RouteTable['association'] {
  if (RouteTableType === 'System') return 'main';
  return VSwitchIds.some((id) => subnetIds.includes(id)) ? 'explicit' : undefined;
}
