/** Providers that break one promise each, on a cloud made of memory, and which sentences must notice. */
import type { CloudProvider, NextHop, RouteChange, RouteTable } from '../../../providers/provider.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../../src/core/errors.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { cidr } from '../../support/addresses.ts';
import type { MemoryCloudWorld } from '../memory/cloud-world.ts';
import type { memoryVariants } from '../memory/variants.ts';
import { signal } from './limits.ts';
import type { Caller } from './subject.ts';

export interface WrongProvider {
  /** Continues "a provider that …". */
  readonly does: string;
  readonly variant: keyof typeof memoryVariants;
  /** The methods that are wrong; those of the right provider are `right`'s. */
  wrong(right: CloudProvider, world: MemoryCloudWorld, as: Caller): Partial<CloudProvider>;
  /** Beginnings of what the chapters and their sentences say: `chapter: sentence`. */
  readonly noticed: readonly string[];
}

type Apply = CloudProvider['apply'];

/** Takes over the changes of one kind. */
function applying(
  right: CloudProvider,
  ...kinds: readonly [RouteChange['action'], Apply][]
): Pick<CloudProvider, 'apply'> {
  return {
    async apply(change, inner) {
      const taken = kinds.find(([action]) => action === change.action)?.[1];
      await (taken ? taken(change, inner) : right.apply(change, inner));
    },
  };
}

/** Every method of the cloud's API, with its failures told another way. */
function telling(right: CloudProvider, tell: (error: FlannelVpcError) => unknown): Partial<CloudProvider> {
  const told =
    <Given extends readonly unknown[], Value>(call: (...given: Given) => Promise<Value>) =>
    async (...given: Given): Promise<Value> =>
      await call(...given).catch((error: unknown) => {
        throw isFlannelVpcError(error) ? tell(error) : error;
      });
  return {
    resolve: told((...given) => right.resolve(...given)),
    instances: told((...given) => right.instances(...given)),
    tables: told((...given) => right.tables(...given)),
    prepare: told((...given) => right.prepare(...given)),
    apply: told((...given) => right.apply(...given)),
    diagnose: told((...given) => right.diagnose(...given)),
  };
}

/** Deletes what leads elsewhere and creates anew, where it should have replaced or stood beside. */
async function deleteThenCreate(right: CloudProvider, change: RouteChange, inner: AbortSignal): Promise<void> {
  if (change.action === 'delete') return await right.apply(change, inner);
  const { tableId, destination, nextHop } = change;
  const former =
    change.action === 'replace' ? [{ target: change.expected, handle: change.handle }] : (change.beside ?? []);
  for (const { target, handle } of former) {
    await right.apply({ action: 'delete', tableId, destination, expected: target, handle }, inner);
  }
  await right.apply({ action: 'create', tableId, destination, nextHop }, inner);
}

const withRoutes = (tables: readonly RouteTable[], change: (routes: RouteTable['routes']) => RouteTable['routes']) =>
  tables.map((table) => ({ ...table, routes: change(table.routes) }));

const unsignalled = (): AbortSignal => signal(60_000);
const code = (error: FlannelVpcError, to: FlannelVpcError['code']): FlannelVpcError =>
  new FlannelVpcError(to, error.message, { hint: error.hint, details: error.details });
const nobody: NextHop = {
  ...{ nicId: 'eni-x', instanceId: 'i-x', subnetId: undefined, networkId: undefined, forwards: true },
};
const replacement: RouteChange = {
  ...{ action: 'replace', tableId: 'rtb-x', destination: cidr('10.244.255.0/24'), nextHop: nobody },
  expected: { kind: 'instance', id: 'i-y' },
};
const everyTransient = ['what goes wrong: is called TRANSIENT', 'what goes wrong: in the middle of it'];

export const wrongProviders: readonly WrongProvider[] = [
  {
    does: 'is somebody else, without addresses',
    variant: 'like AWS',
    wrong: (right) => ({
      identify: async (inner) => ({ ...(await right.identify(inner)), instanceId: 'i-x', nics: [] }),
    }),
    noticed: ['a machine: says who it is', 'a machine: says its IPv6 address'],
  },
  {
    does: 'asks the API who it is',
    variant: 'like AWS',
    wrong: (right) => ({
      async identify(inner) {
        await right.instances(['i-1'], inner);
        return await right.identify(inner);
      },
    }),
    noticed: ['a machine: is not told by the cloud’s API'],
  },
  {
    does: 'mixes the answers up',
    variant: 'like AWS',
    wrong: (right) => ({ resolve: async (...given) => [...(await right.resolve(...given))].reverse() }),
    noticed: ['a lease’s holder: is resolved in the order asked'],
  },
  {
    does: 'believes what a lease says',
    variant: 'like AWS',
    wrong: (right) => ({
      resolve: async (claims, inner) =>
        (await right.resolve(claims, inner)).map((found, at) => {
          const { nicId } = claims[at] ?? {};
          return found.kind === 'resolved' && nicId ? { ...found, nextHop: { ...found.nextHop, nicId } } : found;
        }),
    }),
    noticed: ['a lease’s holder: is not whom a lease names'],
  },
  {
    does: 'finds nobody whom a lease names',
    variant: 'like Google Cloud',
    wrong: (right) => ({
      resolve: async (claims, inner) =>
        (await right.resolve(claims, inner)).map((found, at) =>
          claims[at]?.instanceId === undefined ? found : { kind: 'unresolved', reason: 'named' },
        ),
    }),
    noticed: ['a lease’s holder: is found by an agent'],
  },
  {
    does: 'looks in all networks, for IPv4 alone',
    variant: 'like Azure',
    wrong: (right) => ({
      resolve: async (claims, inner) =>
        (
          await right.resolve(
            claims.map(({ networkId: _, ...claim }) => claim),
            inner,
          )
        ).map((found, at) => (claims[at]?.address.family === 6 ? { kind: 'unresolved', reason: 'IPv6' } : found)),
    }),
    noticed: ['a lease’s holder: is not found in another network', 'IPv6: addresses are'],
  },
  {
    does: 'asks for each claim by itself, and even for none',
    variant: 'like Alibaba Cloud',
    wrong: (right) => ({
      async resolve(claims, inner) {
        if (claims.length === 0) await right.instances(['i-1'], inner);
        return (await Promise.all(claims.map((claim) => right.resolve([claim], inner)))).flat();
      },
    }),
    noticed: ['a lease’s holder: costs no request', 'a lease’s holder: costs few requests'],
  },
  {
    does: 'says that all forward, and lets none',
    variant: 'like Azure',
    wrong: (right) => ({
      resolve: async (...given) =>
        (await right.resolve(...given)).map((found) =>
          found.kind === 'resolved' ? { ...found, nextHop: { ...found.nextHop, forwards: true } } : found,
        ),
      prepare: async () => {},
    }),
    noticed: ['a lease’s holder: is told with whether', 'a lease’s holder: is let forward'],
  },
  {
    does: 'acts as if it had let forward what only a person can',
    variant: 'like Google Cloud',
    wrong: () => ({ prepare: async () => {} }),
    noticed: ['a lease’s holder: is let forward'],
  },
  {
    does: 'calls the stopped terminated',
    variant: 'like Google Cloud',
    wrong: (right) => ({
      instances: async (...given) =>
        new Map(
          [...(await right.instances(...given))].map(([id, state]) => [id, state === 'stopped' ? 'terminated' : state]),
        ),
    }),
    noticed: ['a lease’s holder: is known to run'],
  },
  {
    does: 'gives tables twice, and leaves out those that are gone',
    variant: 'like AWS',
    wrong: (right) => ({
      async tables(selector, inner) {
        const found = await right.tables(selector, inner).catch(() => []);
        return [...found, ...found];
      },
    }),
    noticed: ['route tables: are found by the subnets', 'route tables: are those configured'],
  },
  {
    does: 'knows no tags and no former tables',
    variant: 'like Azure',
    wrong: (right) => ({
      tables: async ({ tag: _, alsoIds: __, ...selector }, inner) => await right.tables(selector, inner),
    }),
    noticed: ['route tables: that served nodes once', 'route tables: are found by their tag'],
  },
  {
    does: 'takes gateways for machines and all routes for its own',
    variant: 'like Alibaba Cloud',
    wrong: (right) => ({
      tables: async (...given) =>
        withRoutes(await right.tables(...given), (routes) =>
          routes.map((route) => ({ ...route, target: { kind: 'instance', id: route.target.id }, marked: true })),
        ),
    }),
    noticed: ['route tables: show other people’s routes', 'route tables: show another hand’s'],
  },
  {
    does: 'reads the first page',
    variant: 'like Google Cloud',
    wrong: (right) => ({
      tables: async (...given) => withRoutes(await right.tables(...given), (all) => all.slice(0, 20)),
    }),
    noticed: ['route tables: are read to their last page'],
  },
  {
    does: 'deletes nothing',
    variant: 'like AWS',
    wrong: (right) => applying(right, ['delete', async () => {}]),
    noticed: [
      ...[
        'a change: creates, shows',
        'a change: is made in each',
        'a change: that was made already',
        'IPv6: has routes',
      ],
      'giving up: for good',
    ],
  },
  {
    does: 'clears the way of what it writes and deletes',
    variant: 'like AWS',
    wrong: (right, world) => ({
      async apply(change, inner) {
        await world.removeRoute(change.tableId, world.foreignDestination);
        await right.apply(change, inner);
      },
    }),
    noticed: [
      ...['a change: creates, shows', 'a change: that deletes what is not there', 'IPv6: has routes', 'IPv6: and IPv4'],
      ...['a cloud that is slow of understanding: shows late what is gone', 'a move: has no moment'],
    ],
  },
  {
    does: 'writes to the first table alone',
    variant: 'like Azure',
    wrong: (right, world) => ({
      apply: async (change, inner) => await right.apply({ ...change, tableId: world.tableIds[0] ?? '' }, inner),
    }),
    noticed: ['a change: is made in each', 'a change: names the table'],
  },
  {
    does: 'calls it a failure to delete what is not there',
    variant: 'like Google Cloud',
    wrong: (right, world) =>
      applying(right, [
        'delete',
        async (change, inner) => {
          const there = Object.keys(world.cloud.staticRoutes(change.tableId)).includes(formatCidr(change.destination));
          if (!there) throw new FlannelVpcError('NOT_FOUND', 'no such route');
          await right.apply(change, inner);
        },
      ]),
    noticed: [
      ...['a change: that was made already', 'a change: that deletes what is not there'],
      'what goes wrong: is only an answer that was lost',
    ],
  },
  {
    does: 'puts what is to be created or replaced in place of whatever is there',
    variant: 'like Alibaba Cloud',
    wrong: (right, world) => {
      const put: Apply = async (change, inner) => {
        await world.removeRoute(change.tableId, formatCidr(change.destination));
        if ('nextHop' in change) {
          const { tableId, destination, nextHop } = change;
          await right.apply({ action: 'create', tableId, destination, nextHop }, inner);
        }
      };
      return applying(right, ['create', put], ['replace', put], ['delete', put]);
    },
    noticed: [
      ...[
        'a change: that creates what stands',
        'a change: that replaces what is not',
        'a change: that expects another',
      ],
      ...['a move: has no moment', 'a move: of a route', 'a move: finds room', 'IPv6: has moves'],
    ],
  },
  {
    does: 'says nothing of what is wrong with a change',
    variant: 'like AWS',
    wrong: (right) => telling(right, (error) => new FlannelVpcError(error.code, 'it did not work')),
    noticed: [
      ...['a change: names the table', 'a change: names the machine', 'what goes wrong: is called PERMISSION_DENIED'],
      ...[
        'what goes wrong: is called QUOTA',
        'what goes wrong: is told of a table',
        'route tables: are those configured',
      ],
      ...['node', 'controller', 'reader'].map((role) => `rights: that the README gives a ${role} are each needed`),
    ],
  },
  {
    does: 'loses changes that come while one is under way',
    variant: 'like AWS',
    wrong(right) {
      let busy = false;
      return {
        async apply(change, inner) {
          if (busy) return;
          busy = true;
          // A turn of the event loop later the others have come.
          await new Promise((resolve) => setTimeout(resolve, 5));
          await right.apply(change, inner).finally(() => {
            busy = false;
          });
        },
      };
    },
    noticed: ['a change: and many others'],
  },
  {
    does: 'makes no replacements in batches, and says the answers backwards',
    variant: 'like Azure',
    wrong: (right) => ({
      async applyBatch(tableId, changes, inner) {
        if (changes.length === 0) await right.instances(['i-1'], inner);
        const made = changes.filter(({ action }) => action !== 'replace');
        const results = (await right.applyBatch?.(tableId, made, inner)) ?? [];
        return [...results, ...changes.slice(made.length).map(() => undefined)].reverse();
      },
    }),
    noticed: ['a batch: creates, replaces', 'a batch: says of each', 'a batch: of nothing'],
  },
  {
    does: 'makes the changes of a batch one by one, and by force',
    variant: 'like Alibaba Cloud',
    wrong: (right, world) => ({
      async applyBatch(_, changes, inner) {
        for (const change of changes) {
          const text = formatCidr(change.destination);
          if (text in world.cloud.staticRoutes(change.tableId) && change.action !== 'delete') {
            await world.removeRoute(change.tableId, text);
          } else if (change.action !== 'replace') await right.apply(change, inner);
        }
        return changes.map(() => undefined);
      },
    }),
    noticed: ['a batch: of many', 'a batch: that was made already', 'a batch: says of each'],
  },
  {
    does: 'takes half a batch for the whole',
    variant: 'like Azure',
    wrong: (right) => ({
      applyBatch: async (tableId, changes, inner) =>
        (await right.applyBatch?.(tableId, changes, inner).catch(() => undefined)) ?? changes.map(() => undefined),
    }),
    noticed: ['a batch: that the cloud makes half of'],
  },
  {
    does: 'deletes before it creates where it could replace',
    variant: 'like AWS',
    wrong: (right) => ({ apply: async (change, inner) => await deleteThenCreate(right, change, inner) }),
    noticed: ['a move: has no moment', 'a move: of a route', 'IPv6: has moves'],
  },
  {
    does: 'deletes before it creates where both could stand',
    variant: 'like Google Cloud',
    wrong: (right) => ({ apply: async (change, inner) => await deleteThenCreate(right, change, inner) }),
    noticed: ['a move: has no moment', 'a move: of a route', 'a move: finds room', 'IPv6: has moves'],
  },
  {
    does: 'gives the new route of a move the preference of the old one',
    variant: 'like Google Cloud',
    wrong: (right, world) =>
      applying(right, [
        'create',
        async (change, inner) => {
          if (change.action !== 'create' || !change.beside?.length) return await right.apply(change, inner);
          const id = change.nextHop.instanceId ?? '';
          const { destination, tableId } = change;
          const route = {
            destination: formatCidr(destination),
            target: { kind: 'instance', id, instanceId: id },
          } as const;
          world.cloud.putRoute(tableId, { ...route, preference: change.beside[0]?.preference ?? 0 });
          await world.tell(tableId);
        },
      ]),
    noticed: ['a move: has no moment', 'IPv6: has moves'],
  },
  {
    does: 'claims to need no spare room',
    variant: 'like Google Cloud',
    wrong: (right) => ({ capabilities: { ...right.capabilities, spareRoutes: 0 } }),
    noticed: ['a move: finds room'],
  },
  {
    does: 'does not know its own routes again',
    variant: 'like Azure',
    wrong: (right) => ({
      tables: async (...given) =>
        withRoutes(await right.tables(...given), (routes) => routes.map((route) => ({ ...route, state: 'other' }))),
    }),
    noticed: ['a move: is written once'],
  },
  {
    does: 'takes an IPv6 route for the whole machine’s',
    variant: 'like Alibaba Cloud',
    wrong: (right, world) =>
      applying(right, [
        'create',
        async (change, inner) => {
          await right.apply(change, inner);
          if (change.destination.family === 4) return;
          for (const [text, target] of Object.entries(world.cloud.staticRoutes(change.tableId))) {
            const own = 'nextHop' in change && target === change.nextHop.instanceId;
            if (own && text.startsWith('10.244.')) await world.removeRoute(change.tableId, text);
          }
        },
      ]),
    noticed: ['IPv6: and IPv4'],
  },
  {
    does: 'takes too many requests for a wrong one',
    variant: 'like Google Cloud',
    wrong: (right) => telling(right, (error) => (error.code === 'THROTTLED' ? code(error, 'INVALID') : error)),
    noticed: [
      'what goes wrong: is called THROTTLED',
      'a cloud that is slow of understanding: is given the time',
      'a cloud that is slow of understanding: says THROTTLED',
    ],
  },
  {
    does: 'takes what passes by itself for what is wrong',
    variant: 'like Alibaba Cloud',
    wrong: (right) => telling(right, (error) => (error.code === 'TRANSIENT' ? code(error, 'INVALID') : error)),
    noticed: everyTransient,
  },
  {
    does: 'takes a full table for what passes by itself, and a route that stands for a wrong request',
    variant: 'like Azure',
    wrong: (right) =>
      telling(right, (error) => {
        if (error.code === 'QUOTA_EXCEEDED') return code(error, 'TRANSIENT');
        return error.code === 'CONFLICT' ? code(error, 'INVALID') : error;
      }),
    noticed: [
      ...['what goes wrong: is called QUOTA', 'what goes wrong: is told of a table'],
      ...['what goes wrong: is only an answer', 'a change: that creates what stands'],
    ],
  },
  {
    does: 'makes anew what a read does not show yet',
    variant: 'like AWS',
    wrong: (right) =>
      applying(right, [
        'create',
        async (change, inner) => {
          await right.apply(change, inner);
          const { tableId, destination } = change;
          const selector = { tableIds: [tableId], networkId: undefined, subnetIds: [] };
          const [table] = await right.tables(selector, inner);
          if (table?.routes.some(({ destinationText }) => destinationText === formatCidr(destination))) return;
          const expected = { kind: 'nic', id: (change as { nextHop: NextHop }).nextHop.nicId } as const;
          await right.apply({ action: 'delete', tableId, destination, expected }, inner);
          await right.apply(change, inner);
        },
      ]),
    noticed: ['a cloud that is slow of understanding: shows late what was written'],
  },
  {
    does: 'says that a change is done while it is under way',
    variant: 'like Azure',
    wrong: (right) => ({
      apply: async (change, inner) => void right.apply(change, inner).catch(() => {}),
    }),
    noticed: ['a cloud that is slow of understanding: takes its time'],
  },
  {
    does: 'hears no signal',
    variant: 'like Alibaba Cloud',
    wrong: (right) => ({
      identify: () => right.identify(unsignalled()),
      resolve: (claims) => right.resolve(claims, unsignalled()),
      tables: (selector) => right.tables(selector, unsignalled()),
      apply: (change) => right.apply(change, unsignalled()),
    }),
    noticed: ['giving up: beforehand', 'giving up: in the middle ends a read', 'giving up: in the middle of a change'],
  },
  {
    does: 'takes every end of its time for a wish to end',
    variant: 'like AWS',
    wrong: (right) => ({
      tables: async (...given) =>
        await right.tables(...given).catch((error: unknown) => {
          throw given[1].aborted ? new DOMException('gave up', 'AbortError') : error;
        }),
    }),
    noticed: ['giving up: by a deadline'],
  },
  {
    does: 'asks for more than its README grants',
    variant: 'like Google Cloud',
    wrong: (right) => ({
      async tables(...given) {
        // Nobody of this cloud may replace, nor needs to.
        await right.apply(replacement, signal()).catch((error: unknown) => {
          if (isFlannelVpcError(error, 'PERMISSION_DENIED')) throw error;
        });
        return await right.tables(...given);
      },
    }),
    noticed: ['node', 'controller', 'reader'].map((role) => `rights: that the README gives a ${role} are enough`),
  },
  {
    does: 'writes by somebody else’s rights',
    variant: 'like Azure',
    wrong: (_, world) => {
      const controller = world.provider('controller');
      return { apply: (...given) => controller.apply(...given), prepare: (...given) => controller.prepare(...given) };
    },
    noticed: ['rights: that the README gives a reader let nothing be written'],
  },
  {
    does: 'finds nothing',
    variant: 'like Google Cloud',
    wrong: () => ({ diagnose: async () => [] }),
    noticed: ['a diagnosis: finds what stands', 'a diagnosis: finds nothing wrong'],
  },
];
