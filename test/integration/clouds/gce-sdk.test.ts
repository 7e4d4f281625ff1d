/** The simulated Compute Engine through Google's own SDK, unchanged but for where it is told to go. */

import { randomUUID } from 'node:crypto';
import compute, { type RoutesClient } from '@google-cloud/compute';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createGceWorld, type GceInstance, type GceWorld } from '../../clouds/gce/world.ts';

describe('Google’s SDK on the simulated Compute Engine', () => {
  let world: GceWorld;
  let vm: GceInstance;
  let stopMetadata: () => Promise<void>;
  // One for all: making a client takes a second.
  let routes: RoutesClient;
  const before = { ...process.env };
  const project = 'project-1';
  const network = `projects/${project}/global/networks/net-1`;

  const options = () => ({ apiEndpoint: '127.0.0.1', port: Number(new URL(world.url).port), protocol: 'http' });
  const hop = () => `projects/${project}/zones/${vm.id.replace('/', '/instances/')}`;

  beforeAll(async () => {
    world = await createGceWorld();
    vm = await world.runInstance(world.subnets[0], '10.0.1.10');
    await world.runInstance(world.subnets[1], '10.0.2.10');
    const metadata = await world.startMetadata(vm);
    stopMetadata = metadata.stop;
    // The SDK looks nowhere else for its metadata server.
    Object.assign(process.env, metadata.environment, { METADATA_SERVER_DETECTION: 'assume-present' });
    routes = new compute.RoutesClient(options());
  });
  beforeEach(() => world.resetRequests());
  afterAll(async () => {
    process.env = before;
    await stopMetadata?.();
    await world?.stop();
  });

  it('authenticates by the metadata server, and reads lists through all their pages', async () => {
    const instances = new compute.InstancesClient(options());
    const found: string[] = [];
    for await (const route of routes.listAsync({ project })) found.push(route.destRange ?? '');
    const machines: string[] = [];
    for await (const [, scope] of instances.aggregatedListAsync({ project, maxResults: 1 })) {
      machines.push(...(scope.instances ?? []).map(({ name }) => name ?? ''));
    }

    expect(found.toSorted()).toEqual([
      ...['0.0.0.0/0', '10.0.1.0/24', '10.0.2.0/24', '172.30.0.0/16', '192.168.77.0/24'],
      ...['fd20:a1b:2c3:1::/64', 'fd20:a1b:2c3::/64'],
    ]);
    expect(machines.toSorted()).toEqual(['vm-1', 'vm-2']);
    const asked = world.requests().map(({ operation, caller }) => `${caller} ${operation}`);
    expect(asked).toEqual([
      ...Array(2).fill(`node/${vm.id} compute.routes.list`),
      ...Array(2).fill(`node/${vm.id} compute.instances.aggregatedList`),
    ]);
  });

  it('inserts a route, waits for it, reads it and deletes it', async () => {
    const operations = new compute.GlobalOperationsClient(options());
    const routeResource = { name: 'sdk', network, destRange: '10.244.1.0/24', priority: 7, nextHopInstance: hop() };

    const [inserted] = await routes.insert({ project, requestId: randomUUID(), routeResource });
    const { name = '' } = (inserted as { latestResponse?: { name?: string } }).latestResponse ?? {};
    const [operation] = await operations.wait({ project, operation: name });
    const [route] = await routes.get({ project, route: 'sdk' });
    const [deleted] = await routes.delete({ project, route: 'sdk' });
    const { name: second = '' } = (deleted as { latestResponse?: { name?: string } }).latestResponse ?? {};
    await operations.wait({ project, operation: second });

    expect(operation).toMatchObject({ status: 'DONE', operationType: 'insert' });
    expect(route).toMatchObject({ destRange: '10.244.1.0/24', priority: 7, warnings: [] });
    expect(route.id).toMatch(/^\d{19}$/);
    expect(await world.staticRoutes(world.networkId)).not.toHaveProperty(['10.244.1.0/24']);
  });

  it('gets refusals with Google’s status, text and reason', async () => {
    const caught = async (work: Promise<unknown>) =>
      await work.then(
        () => undefined,
        (error: unknown) => error,
      );

    expect(await caught(routes.get({ project, route: 'none' }))).toMatchObject({
      code: 5,
      message: `The resource 'projects/${project}/global/routes/none' was not found`,
    });
    world.inject({ effect: { kind: 'refuse', as: 'throttled' } });
    expect(await caught(routes.get({ project, route: 'none' }))).toMatchObject({
      code: 7,
      reason: 'RATE_LIMIT_EXCEEDED',
    });
    world.setRights('node', 'readme');
    const firewalls = new compute.FirewallsClient(options());
    expect(await caught(firewalls.list({ project }))).toMatchObject({
      code: 7,
      message: `Required 'compute.firewalls.list' permission for 'projects/${project}'`,
    });
    world.setRights('node', 'all');
  });

  it('authenticates a controller that is no instance by workload identity federation', async () => {
    const environment = world.operatorEnvironment('controller', 'one');
    Object.assign(process.env, environment);
    const asController = new compute.RoutesClient(options());

    const [found] = await asController.list({ project });

    expect(found).toHaveLength(7);
    expect(new Set(world.requests().map(({ caller }) => caller))).toEqual(new Set(['controller/one']));
  });
});
