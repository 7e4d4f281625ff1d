/** What the fabric relies on in every `CloudWorld`, as one suite: LocalStack behind its proxy and our simulators alike. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cidrContains, parseCidr } from '../../src/core/ip.ts';
import { hostOf } from '../fabric/addresses.ts';
import type { VpcRoute } from '../fabric/vpc-rules.ts';
import type { CloudChange, CloudInstance, CloudWorld } from './cloud-world.ts';

export { hostOf };

export function describeCloudWorld(name: string, make: () => Promise<CloudWorld>): void {
  describe(`${name} as a cloud world`, () => {
    let world: CloudWorld;
    let instances: readonly [CloudInstance, CloudInstance];
    const changes: CloudChange[] = [];
    const destination = '10.244.9.0/24';

    beforeAll(async () => {
      world = await make();
      world.onChange(async (change) => void changes.push(change));
      const [one, two] = world.subnets;
      instances = [
        await world.runInstance(one, hostOf(one.cidr, 21), { forwards: true }),
        await world.runInstance(two, hostOf(two.cidr, 22), { forwards: true }),
      ];
    }, 120_000);
    afterAll(async () => {
      await world?.stop();
    });

    const followed = async (tableId: string, wanted = destination): Promise<VpcRoute['target'] | undefined> =>
      (await world.forwarding(tableId)).find((route) => route.destination === wanted)?.target;

    it('has two subnets inside its network, each with a table that it lists', () => {
      const network = parseCidr(world.networkCidr);
      for (const { cidr, tableId } of world.subnets) {
        const subnet = parseCidr(cidr);
        expect(network && subnet && cidrContains(network, subnet)).toBe(true);
        expect(world.tableIds).toContain(tableId);
      }
      expect(new Set(world.tableIds).size).toBe(world.tableIds.length);
    });

    it('has a gateway’s route in every table from the start', async () => {
      for (const tableId of world.tableIds) {
        expect(await followed(tableId, world.foreignDestination)).toEqual({ kind: 'gateway' });
        expect(await world.staticRoutes(tableId)).toHaveProperty([world.foreignDestination]);
      }
    });

    it('gives instances the addresses asked for, and ids of their own', () => {
      const [one, two] = instances;
      expect([one.address, two.address]).toEqual(world.subnets.map(({ cidr }, at) => hostOf(cidr, 21 + at)));
      expect(one.id).not.toBe(two.id);
      expect(one.nicId).not.toBe(two.nicId);
      expect(one.mac).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
    });

    it('shows another hand’s route in the data path and in the table, and tells of it before the hand is back', async () => {
      for (const tableId of world.tableIds) {
        changes.length = 0;
        await world.putRoute(tableId, destination, instances[0]);
        expect(changes).toContainEqual({ kind: 'routes', tableId });
        expect(await followed(tableId)).toEqual({ kind: 'nic', nicId: instances[0].nicId });
        expect(await world.staticRoutes(tableId)).toHaveProperty([destination]);

        await world.removeRoute(tableId, destination);
        expect(await followed(tableId)).toBeUndefined();
        expect(await world.staticRoutes(tableId)).not.toHaveProperty([destination]);
        await world.removeRoute(tableId, destination);
      }
    });

    it('tells when an instance is let forward, and when no longer', async () => {
      const { nicId } = instances[1];
      expect(await world.forwards(nicId)).toBe(true);
      for (const forwards of [false, true]) {
        changes.length = 0;
        await world.setForwards(nicId, forwards);
        expect(await world.forwards(nicId)).toBe(forwards);
        expect(changes).toContainEqual({ kind: 'forwards', nicId, forwards });
      }
    });

    it('leaves what the test itself does out of the requests', () => {
      expect(world.requests()).toEqual([]);
    });

    it('says by name who an operator is', () => {
      expect(world.operatorEnvironment('controller', 'one')).not.toEqual(
        world.operatorEnvironment('controller', 'two'),
      );
    });

    it('has a metadata server that says when an order is in force, and listens then', async () => {
      const { program, state, addresses } = instances[0].metadata;
      expect(addresses.length).toBeGreaterThan(0);
      const port = await freePort();
      const child = spawn(process.execPath, [program, `127.0.0.1:${port}`], { stdio: ['pipe', 'pipe', 'inherit'] });
      const ended = once(child, 'exit');
      child.stdin.write(`${JSON.stringify({ state })}\n`);
      const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
      expect(value).toBe('ok');
      expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBeGreaterThanOrEqual(200);
      child.stdin.end();
      expect((await ended)[0]).toBe(0);
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
