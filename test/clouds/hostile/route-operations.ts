/** What every provider is asked to do at a hostile cloud: all of the seam's calls, on a network with one node. */
import type { CloudProvider, NextHop, NextHopClaim, RouteChange } from '../../../providers/provider.ts';
import { formatCidr, sameCidr } from '../../../src/core/ip.ts';
import { cidr, ip } from '../../support/addresses.ts';
import type { CloudInstance, CloudSubnet } from '../cloud-world.ts';
import type { HostileOperation } from './hostile-lab.ts';

export const settings = { networks: [cidr('10.244.0.0/16'), cidr('fd42::/48')] };
const standing = cidr('10.244.7.0/24');
const wanted = cidr('10.244.8.0/24');

/** The part of a world that is needed. */
export interface RouteWorld {
  readonly networkId: string;
  readonly subnets: readonly [CloudSubnet, ...CloudSubnet[]];
  staticRoutes(tableId: string): Promise<Readonly<Record<string, string>>>;
  removeRoute(tableId: string, destination: string): Promise<void>;
  setForwards?(nicId: string, forwards: boolean): Promise<void>;
}

export type HostileNode = Pick<CloudInstance, 'id' | 'nicId' | 'address'>;

export interface RouteOperationsOptions {
  readonly world: RouteWorld;
  readonly node: HostileNode;
  /** Where a route may be made to lead instead. */
  readonly other: HostileNode;
  /** One that works: nothing hostile is in its way. */
  provider(): CloudProvider;
}

export interface RouteOperations {
  readonly operations: readonly HostileOperation[];
  reset(): Promise<void>;
}

/** Makes the route that is to be deleted, and looks at it and at the node as the provider does. */
export async function routeOperations({
  world,
  node,
  other,
  provider,
}: RouteOperationsOptions): Promise<RouteOperations> {
  const [subnet] = world.subnets;
  const { tableId } = subnet;
  const never = new AbortController().signal;
  const honest = provider();
  await honest.identify(never);
  const { capabilities } = honest;
  const claimOf = ({ address, id }: HostileNode) => ({
    address: ip(address),
    instanceId: id,
    networkId: world.networkId,
  });
  const claim = claimOf(node);
  const nextHop = await hopOf(honest, claim);
  const otherHop = await hopOf(honest, claimOf(other));
  const creation = { action: 'create', tableId, destination: standing, nextHop } as const;
  await honest.apply(creation, never);
  const named = { tableIds: [tableId], networkId: world.networkId, subnetIds: [] };
  const [table] = await honest.tables(named, never);
  const entry = table?.routes.find(({ destination }) => destination && sameCidr(destination, standing));
  if (!entry) throw new Error('the route that was made is not there');
  let handle = entry.handle;
  const stands = (await world.staticRoutes(tableId))[formatCidr(standing)];

  const change = (action: RouteChange['action'], to: NextHop): RouteChange => {
    const known = { tableId, expected: entry.target, ...(handle === undefined ? {} : { handle }) };
    if (action === 'create') return { action, tableId, destination: wanted, nextHop: to };
    if (action === 'replace') return { action, destination: standing, nextHop: to, ...known };
    return { action, destination: standing, ...known };
  };
  const reads: readonly Omit<HostileOperation, 'writes'>[] = [
    { name: 'identify', run: (one, signal) => one.identify(signal) },
    { name: 'tables', run: (one, signal) => one.tables(named, signal) },
    {
      name: 'tables of the subnet',
      run: (one, signal) => one.tables({ tableIds: [], networkId: world.networkId, subnetIds: [subnet.id] }, signal),
    },
    { name: 'resolve', run: (one, signal) => one.resolve([claim], signal) },
    {
      name: 'resolve many',
      run: (one, signal) =>
        one.resolve(
          Array.from({ length: 8 }, (_, at) => ({ address: ip(`10.0.1.${10 + at}`), networkId: world.networkId })),
          signal,
        ),
    },
    { name: 'instances', run: (one, signal) => one.instances([node.id], signal) },
  ];
  const writes: readonly Omit<HostileOperation, 'writes'>[] = [
    { name: 'create', run: (one, signal) => one.apply(change('create', nextHop), signal) },
    { name: 'delete', run: (one, signal) => one.apply(change('delete', nextHop), signal) },
    ...(capabilities.replacesInPlace
      ? [
          {
            name: 'replace',
            run: (one: CloudProvider, signal: AbortSignal) => one.apply(change('replace', otherHop), signal),
          },
        ]
      : []),
    ...(capabilities.forwarding.settable
      ? [
          {
            name: 'prepare',
            rewrites: true,
            run: (one: CloudProvider, signal: AbortSignal) => one.prepare({ ...nextHop, forwards: false }, signal),
          },
        ]
      : []),
    ...(honest.applyBatch
      ? [
          {
            name: 'batch',
            rewrites: true,
            run: async (one: CloudProvider, signal: AbortSignal) => {
              const results = await one.applyBatch?.(
                tableId,
                [change('create', nextHop), change('delete', nextHop)],
                signal,
              );
              for (const error of results ?? []) if (error) throw error;
            },
          },
        ]
      : []),
  ];
  return {
    operations: [
      ...reads.map((each) => ({ ...each, writes: false })),
      ...writes.map((each) => ({ ...each, writes: true })),
    ],
    async reset() {
      await world.setForwards?.(node.nicId, false);
      const routes = await world.staticRoutes(tableId);
      const left = [wanted, ...(routes[formatCidr(standing)] === stands ? [] : [standing])].map(formatCidr);
      for (const text of left) if (routes[text] !== undefined) await world.removeRoute(tableId, text);
      if (routes[formatCidr(standing)] === stands) return;
      await honest.apply(creation, never);
      const [again] = await honest.tables(named, never);
      handle = again?.routes.find(({ destination }) => destination && sameCidr(destination, standing))?.handle;
    },
  };
}

async function hopOf(provider: CloudProvider, claim: NextHopClaim): Promise<NextHop> {
  const [found] = await provider.resolve([claim], new AbortController().signal);
  if (found?.kind !== 'resolved') throw new Error(`the node is not resolved: ${found?.reason}`);
  return found.nextHop;
}
