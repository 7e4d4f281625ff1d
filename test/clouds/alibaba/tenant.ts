/** For tests of the simulator itself: a world with two instances, and the SDK's calls on the table of the first. */
import type { CloudInstance } from '../cloud-world.ts';
import { type SdkCall, type SdkError, sdkCall } from './sdk.ts';
import { type AlibabaWorld, type AlibabaWorldOptions, createAlibabaWorld } from './world.ts';

/** An entry as the API shows it, as far as tests name its members. */
export interface ShownEntry {
  readonly RouteEntryId: string;
  readonly DestinationCidrBlock: string;
  readonly Status: string;
}

export interface Tenant {
  readonly world: AlibabaWorld;
  readonly call: SdkCall;
  /** The custom table, of the first instance's vSwitch. */
  readonly tableId: string;
  readonly systemTableId: string;
  readonly node: CloudInstance;
  readonly other: CloudInstance;
  /** `CreateRouteEntry` to the first instance. */
  create(destination: string, more?: object): Promise<{ readonly RouteEntryId: string }>;
  /** Every entry of the table that the filter lets pass. */
  entries(filter?: object): Promise<readonly ShownEntry[]>;
  entryOf(destination: string): Promise<ShownEntry | undefined>;
  /** One of `CreateRouteEntries`, to the first instance. */
  batchEntry(destination: string, more?: object): Readonly<Record<string, unknown>>;
}

export async function startTenant(options: AlibabaWorldOptions = {}): Promise<Tenant> {
  const world = await createAlibabaWorld(options);
  const [tableId = '', systemTableId = ''] = world.tableIds;
  const node = await world.runInstance(world.subnets[0], '10.0.1.10');
  const other = await world.runInstance(world.subnets[1], '10.0.2.10');
  const call = sdkCall({ ...world, credentials: world.keys.issue('test/one') });
  const entries = async (filter: object = {}) =>
    (await call('DescribeRouteEntryList', { RouteTableId: tableId, MaxResult: 100, ...filter })).RouteEntrys.RouteEntry;
  return {
    ...{ world, call, tableId, systemTableId, node, other, entries },
    create: async (destination, more = {}) =>
      await call('CreateRouteEntry', {
        ...{ RouteTableId: tableId, DestinationCidrBlock: destination, NextHopId: node.id, ...more },
      }),
    entryOf: async (destination) => (await entries({ DestinationCidrBlock: destination }))[0],
    batchEntry: (destination, more = {}) => ({
      ...{ RouteTableId: tableId, DstCidrBlock: destination, NextHop: node.id, NextHopType: 'Instance', ...more },
    }),
  };
}

/** `ok`, or the code of the SDK's error. */
export async function codeOf(calling: Promise<unknown>): Promise<string> {
  return await calling.then(
    () => 'ok',
    (error: SdkError) => error.code,
  );
}
