/** What a controller tells of nodes, on a real API server: no more than has changed. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import * as z from 'zod';
import type { KubernetesStores } from '../../lease/kubernetes/stores.ts';
import type { NodeNotice } from '../../lease/node-notices.ts';
import { type KubeWorld, startKubeWorld } from './world.ts';

const never = new AbortController().signal;
const nobody: ReadonlySet<string> = new Set();
let world: KubeWorld;
let stores: KubernetesStores;

beforeAll(async () => {
  world = await startKubeWorld();
}, 120_000);
afterAll(async () => {
  await world?.stop();
});
beforeEach(async () => {
  stores = await world.open(undefined);
});
afterEach(async () => {
  world.gateway.interfere(undefined);
  await world.clear();
  await world.server.kubectl('delete', 'events', '--all', '-n', 'default');
});

const full = (nodeName: string, message = 'the table is full'): NodeNotice => ({
  ...{ nodeName, reason: 'QuotaExceeded', message },
});

async function tell(trouble: readonly NodeNotice[], undecided = nobody): Promise<readonly string[]> {
  world.gateway.forget();
  await stores.notices?.tell(trouble, undecided, never);
  return world.gateway.requests.map(({ method, path }) => `${method} ${path.replace(/\?.*|(?<=events\/).*/, '')}`);
}

const component = 'flannel-vpc-controller';
const listSchema = z.object({ items: z.array(z.unknown()) });
const eventSchema = z.object({
  involvedObject: z.object({ name: z.string() }),
  ...{ type: z.string(), reason: z.string(), count: z.number() },
});
const sourceSchema = z.object({ source: z.object({ component: z.string().optional() }).optional() });

/** Those of the controller: the API server tells of itself now and then. */
async function events(): Promise<readonly string[]> {
  const text = await world.server.kubectl('get', 'events', '-n', 'default', '-o', 'json');
  return listSchema
    .parse(JSON.parse(text))
    .items.filter((item) => sourceSchema.parse(item).source?.component === component)
    .map((item) => eventSchema.parse(item))
    .map(({ involvedObject, type, reason, count }) => `${involvedObject.name} ${type} ${reason} ${count}`)
    .sort();
}

async function condition(name: string): Promise<string> {
  const jsonpath = '{.status.conditions[?(@.type=="FlannelVPCRoute")]}';
  const text = await world.server.kubectl('get', 'node', name, '-o', `jsonpath=${jsonpath}`);
  if (text === '') return '';
  const said = z.object({ status: z.string(), reason: z.string(), message: z.string() }).parse(JSON.parse(text));
  return `${said.status} ${said.reason} ${said.message}`;
}

it('is a condition and an Event, and nothing at all when it is told again', async () => {
  await world.addNode('a', ['10.244.1.0/24']);
  await world.addNode('b', ['10.244.2.0/24']);
  expect(await tell([full('a')])).toEqual([
    'GET /api/v1/nodes',
    'PATCH /api/v1/nodes/a/status',
    'POST /api/v1/namespaces/default/events',
  ]);
  expect([await condition('a'), await condition('b')]).toEqual(['False QuotaExceeded the table is full', '']);
  expect(await tell([full('a')])).toEqual([]);
  expect(await events()).toEqual(['a Warning QuotaExceeded 1']);
});

it('of another controller is known, so that the next one says nothing anew', async () => {
  await world.addNode('a', ['10.244.1.0/24']);
  await tell([full('a')]);
  stores = await world.open(undefined);
  expect(await tell([full('a')])).toEqual(['GET /api/v1/nodes']);
});

it('in other words is no other Event; over and back again it is the same one, counted', async () => {
  await world.addNode('a', ['10.244.1.0/24']);
  await tell([full('a')]);
  await tell([full('a', 'the table is full at 50 routes')]);
  expect(await condition('a')).toBe('False QuotaExceeded the table is full at 50 routes');
  expect(await events()).toEqual(['a Warning QuotaExceeded 1']);
  await tell([]);
  expect(await condition('a')).toBe('True RoutesStand all routes to this node stand');
  await tell([full('a')]);
  expect(await events()).toEqual(['a Normal RoutesStand 1', 'a Warning QuotaExceeded 2']);
});

it('leaves nodes alone that are not decided, and does without one that is gone', async () => {
  await world.addNode('a', ['10.244.1.0/24']);
  await tell([full('a')]);
  expect(await tell([full('gone')], new Set(['a']))).toEqual(['GET /api/v1/nodes']);
  expect(await condition('a')).toBe('False QuotaExceeded the table is full');
});

it('whose answer was lost is told all the same, and counted on', async () => {
  await world.addNode('a', ['10.244.1.0/24']);
  let losses = 1;
  world.gateway.interfere(({ method }) => (method === 'POST' && losses-- > 0 ? 'lose' : undefined));
  await tell([full('a')]);
  expect(losses).toBe(-1);
  await tell([]);
  await tell([full('a')]);
  expect(await events()).toEqual(['a Normal RoutesStand 1', 'a Warning QuotaExceeded 2']);
});

it('of many nodes at once is a condition each, and some Events', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
  for (const [index, name] of names.entries()) await world.addNode(name, [`10.244.${index + 1}.0/24`]);
  const sent = await tell(names.map((name) => full(name)));
  expect(sent.filter((request) => request.startsWith('PATCH'))).toHaveLength(40);
  const told = (await events()).length;
  expect(told).toBeGreaterThanOrEqual(25);
  expect(told).toBeLessThan(40);
});

it('leaves leases and reports, when they are asked for in one breath, one list of nodes', async () => {
  await world.addNode('a', ['10.244.1.0/24']);
  await stores.leases.list(never);
  world.gateway.forget();
  await Promise.all([stores.leases.list(never), stores.reports.list(never)]);
  expect(world.gateway.requests).toHaveLength(1);
  await stores.reports.list(never);
  expect(world.gateway.requests).toHaveLength(2);
});
