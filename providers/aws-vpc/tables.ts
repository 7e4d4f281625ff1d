/**
 * Reads route tables: the configured ones by id or by tag, else those of the VPC that serve the nodes' subnets. One read, all
 * pages.
 */
import type { RouteTable as Ec2RouteTable } from '@aws-sdk/client-ec2';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { RouteTable, TableSelector, TableTag } from '../provider.ts';
import type { Ec2 } from './ec2.ts';
import { allPages, type Ec2Filter, filterChunks } from './pages.ts';
import { routeEntry } from './routes.ts';

/** Most tables in one page that EC2 allows. */
const maxPageSize = 100;

export interface TableReadOptions {
  /** Tables in one page, 5 to 100; tests make it small. */
  readonly pageSize?: number | undefined;
}

/** @throws NOT_FOUND naming a configured table that does not exist, a tag that no table has, or a subnet that no table serves. */
export async function readTables(
  ec2: Ec2,
  selector: TableSelector,
  signal: AbortSignal,
  options: TableReadOptions = {},
): Promise<readonly RouteTable[]> {
  const chosen = await chosenTables(ec2, selector, signal, options);
  return chosen.map((table) => toRouteTable(table, selector.subnetIds));
}

async function chosenTables(
  ec2: Ec2,
  selector: TableSelector,
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Ec2RouteTable[]> {
  const { tableIds, tag, networkId } = selector;
  if (tableIds.length > 0) return await configuredTables(ec2, tableIds, signal, options);
  if (tag !== undefined) return await taggedTables(ec2, tag, networkId, signal, options);
  return await servingTables(ec2, selector, signal, options);
}

async function configuredTables(
  ec2: Ec2,
  tableIds: readonly string[],
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Ec2RouteTable[]> {
  const ids = [...new Set(tableIds)];
  const tables = await tablesById(ec2, ids, signal, options);
  const found = new Map(tables.map((table) => [table.RouteTableId, table]));
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length > 0) {
    throw new FlannelVpcError(
      'NOT_FOUND',
      `EC2 knows no route table ${missing.join(', ')} in this account and Region`,
      {
        hint: 'correct RouteTableID in net-conf, or leave it out to have the tables found; or correct AWS_REGION',
        details: { action: 'ec2:DescribeRouteTables', tableIds: missing },
      },
    );
  }
  return ids.flatMap((id) => found.get(id) ?? []);
}

/** Those of the tables that are there. */
async function tablesById(
  ec2: Ec2,
  ids: readonly string[],
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Ec2RouteTable[]> {
  const found: Ec2RouteTable[] = [];
  for (const values of filterChunks(ids)) {
    // A filter, since the parameter for ids fails wholly when one of them is missing, and can't be paged.
    found.push(...(await describeTables(ec2, [{ Name: 'route-table-id', Values: values }], signal, options)));
  }
  return found;
}

async function taggedTables(
  ec2: Ec2,
  { key, value }: TableTag,
  networkId: string | undefined,
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Ec2RouteTable[]> {
  const vpc = networkId === undefined ? [] : [{ Name: 'vpc-id', Values: [networkId] }];
  const found = await describeTables(ec2, [{ Name: `tag:${key}`, Values: [value] }, ...vpc], signal, options);
  // EC2's filters know wildcards. A table that only resembles the tag is somebody else's.
  const tables = found.filter(({ Tags = [] }) => Tags.some((tag) => tag.Key === key && tag.Value === value));
  if (tables.length > 0) return tables;
  throw new FlannelVpcError(
    'NOT_FOUND',
    `no route table of ${networkId ?? 'this account and Region'} has the tag ${key}=${value}`,
    {
      hint: `tag every table that serves nodes (aws ec2 create-tags --resources rtb-… --tags 'Key=${key},Value=${value}'), or correct RouteTableTag in net-conf, or AWS_REGION`,
      details: { action: 'ec2:DescribeRouteTables', networkId, tag: `${key}=${value}` },
    },
  );
}

async function servingTables(
  ec2: Ec2,
  { networkId, subnetIds, alsoIds = [] }: TableSelector,
  signal: AbortSignal,
  options: TableReadOptions,
): Promise<readonly Ec2RouteTable[]> {
  if (subnetIds.length === 0 && alsoIds.length === 0) return [];
  if (networkId === undefined && subnetIds.length === 0) return await tablesById(ec2, alsoIds, signal, options);
  if (networkId === undefined) {
    throw new FlannelVpcError('INVALID', 'the VPC id is not known, so its route tables cannot be found', {
      hint: 'give RouteTableID in net-conf',
    });
  }
  // The filter `association.subnet-id` leaves out the main table, which would take a second call.
  const all = await describeTables(ec2, [{ Name: 'vpc-id', Values: [networkId] }], signal, options);
  const main = all.find((table) => associations(table).some(({ Main }) => Main));
  const chosen = new Set<Ec2RouteTable>();
  for (const subnetId of subnetIds) {
    const table =
      all.find((candidate) => associations(candidate).some(({ SubnetId }) => SubnetId === subnetId)) ?? main;
    if (!table) {
      throw new FlannelVpcError('NOT_FOUND', `no route table of ${networkId} serves subnet ${subnetId}`, {
        hint: 'associate a table with the subnet, or give RouteTableID in net-conf',
        details: { action: 'ec2:DescribeRouteTables', networkId, subnetId },
      });
    }
    chosen.add(table);
  }
  for (const table of all) if (alsoIds.some((id) => id === table.RouteTableId)) chosen.add(table);
  return [...chosen];
}

/** Associations that are, or are about to be, in force. */
function associations({ Associations = [] }: Ec2RouteTable): NonNullable<Ec2RouteTable['Associations']> {
  const gone: readonly (string | undefined)[] = ['disassociating', 'disassociated', 'failed'];
  return Associations.filter(({ AssociationState }) => !gone.includes(AssociationState?.State));
}

async function describeTables(
  ec2: Ec2,
  filters: Ec2Filter[],
  signal: AbortSignal,
  { pageSize = maxPageSize }: TableReadOptions,
): Promise<readonly Ec2RouteTable[]> {
  const asked = filters.flatMap(({ Values }) => Values).join(', ');
  const context = { action: 'ec2:DescribeRouteTables', doing: `read the route tables of ${asked}` };
  return await allPages(pageSize, async (page) => {
    const answer = await ec2.call(context, signal, (client, sdk, send) =>
      client.send(new sdk.DescribeRouteTablesCommand({ Filters: filters, ...page }), send),
    );
    return { items: answer.RouteTables, next: answer.NextToken };
  });
}

function toRouteTable(table: Ec2RouteTable, subnetIds: readonly string[]): RouteTable {
  if (!table.RouteTableId) throw new FlannelVpcError('TRANSIENT', 'EC2 answered with a route table without an id');
  const routes = (table.Routes ?? []).map(routeEntry);
  return { id: table.RouteTableId, networkId: table.VpcId, routes, association: associationOf(table, subnetIds) };
}

function associationOf(table: Ec2RouteTable, subnetIds: readonly string[]): RouteTable['association'] {
  const all = associations(table);
  if (all.some(({ SubnetId }) => SubnetId !== undefined && subnetIds.includes(SubnetId))) return 'explicit';
  return all.some(({ Main }) => Main) ? 'main' : undefined;
}
