/**
 * What every cloud provider promises at its seam, as one suite: the same sentences for the cloud made of memory, for real
 * adapters on emulators and for those still to come.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Finding } from '../../providers/diagnosis.ts';
import type { CloudProvider, NextHop, RouteEntry, RouteTable, TableTag } from '../../providers/provider.ts';
import { type Cidr, formatCidr } from '../../src/core/ip.ts';
import { cidr, ip } from '../support/addresses.ts';

/** A machine of the world under test. */
export interface ConformanceNode {
  readonly instanceId: string;
  readonly nicId: string;
  readonly subnetId: string;
  /** Private IPv4 address. */
  readonly address: string;
  /** Private IPv6 address, where the world has them. */
  readonly address6?: string | undefined;
}

/** A network with two subnets: one with a table of its own, one on the main table. */
export interface ConformanceWorld {
  /** As the first node sees the cloud. */
  readonly provider: CloudProvider;
  readonly networkId: string;
  readonly explicitTableId: string;
  readonly mainTableId: string;
  /** On the explicit table's subnet and on the main table's, in this order; source/dest check on. */
  readonly nodes: readonly [ConformanceNode, ConformanceNode];
  /** A gateway's route that stands in the explicit table. */
  readonly foreignDestination: string;
  /** A further instance, which the suite stops and ends. */
  readonly spareInstanceId: string;
  stopInstance(id: string): Promise<void>;
  terminateInstance(id: string): Promise<void>;
  /** On the explicit table, and on no other. */
  readonly tag: TableTag;
  close(): Promise<void>;
}

/** Runs the suite. `make` is called once; the sentences build on each other only within one `it`. */
export function describeCloudProvider(name: string, make: () => Promise<ConformanceWorld>): void {
  describe(`${name} as a cloud provider`, () => {
    let world: ConformanceWorld;
    beforeAll(async () => {
      world = await make();
    }, 120_000);
    afterAll(async () => {
      await world?.close();
    });

    const signal = () => AbortSignal.timeout(20_000);
    const hop = async (index: 0 | 1): Promise<NextHop> => {
      const { address } = world.nodes[index];
      const [found] = await world.provider.resolve([{ address: ip(address), networkId: world.networkId }], signal());
      if (found?.kind !== 'resolved') throw new Error(`node ${index} is not resolved: ${found?.reason}`);
      return found.nextHop;
    };
    const tables = async (...subnetIds: readonly string[]): Promise<readonly RouteTable[]> =>
      await world.provider.tables({ tableIds: [], networkId: world.networkId, subnetIds }, signal());
    const entry = async (tableId: string, destination: Cidr): Promise<RouteEntry | undefined> => {
      const [table] = await world.provider.tables(
        { tableIds: [tableId], networkId: world.networkId, subnetIds: [] },
        signal(),
      );
      return table?.routes.find((route) => route.destinationText === formatCidr(destination));
    };

    it('says who this machine is, with every NIC and its addresses', async () => {
      const me = await world.provider.identify(signal());

      const [node] = world.nodes;
      expect(me.instanceId).toBe(node.instanceId);
      expect(me.nics).toContainEqual(
        expect.objectContaining({
          nicId: node.nicId,
          subnetId: node.subnetId,
          networkId: world.networkId,
          addresses: expect.arrayContaining([ip(node.address)]),
        }),
      );
    });

    it('resolves claims in the order given, also those that fit nothing', async () => {
      const { networkId } = world;
      const claims = [
        { address: ip(world.nodes[1].address), networkId },
        { address: ip('203.0.113.77'), networkId },
        { address: ip(world.nodes[0].address), networkId },
      ];

      const [second, nobody, first] = await world.provider.resolve(claims, signal());

      expect(second).toMatchObject({ kind: 'resolved', nextHop: { nicId: world.nodes[1].nicId } });
      expect(nobody).toMatchObject({ kind: 'unresolved', reason: expect.stringContaining('203.0.113.77') });
      expect(first).toMatchObject({
        kind: 'resolved',
        nextHop: {
          nicId: world.nodes[0].nicId,
          instanceId: world.nodes[0].instanceId,
          subnetId: world.nodes[0].subnetId,
        },
      });
    });

    it('does not believe a NIC or instance that a claim names when the address is another machine’s', async () => {
      const [a, b] = world.nodes;
      const claim = { address: ip(a.address), nicId: b.nicId, instanceId: b.instanceId, networkId: world.networkId };

      const [resolution] = await world.provider.resolve([claim], signal());

      expect(resolution).toMatchObject({ kind: 'resolved', nextHop: { nicId: a.nicId, instanceId: a.instanceId } });
    });

    it('asks nothing for no claims', async () => {
      expect(await world.provider.resolve([], signal())).toEqual([]);
    });

    it('lets a next hop forward, and says so afterwards', async () => {
      const before = await hop(0);
      expect(before.forwards).toBe(false);

      await world.provider.prepare(before, signal());

      expect((await hop(0)).forwards).toBe(true);
    });

    it('finds the table a subnet is associated with, and the main table for one that is not', async () => {
      const [a, b] = world.nodes;

      expect(await tables(a.subnetId)).toMatchObject([{ id: world.explicitTableId, association: 'explicit' }]);
      expect(await tables(b.subnetId)).toMatchObject([{ id: world.mainTableId, association: 'main' }]);
      expect((await tables(a.subnetId, b.subnetId, b.subnetId)).map(({ id }) => id).sort()).toEqual(
        [world.explicitTableId, world.mainTableId].sort(),
      );
    });

    it('tells the network’s own and other people’s routes apart', async () => {
      const [table] = await tables(world.nodes[0].subnetId);

      expect(table?.routes.filter(({ origin }) => origin === 'local')).not.toEqual([]);
      const foreign = table?.routes.find(({ destinationText }) => destinationText === world.foreignDestination);
      expect(foreign).toMatchObject({ origin: 'static', target: { kind: 'gateway' } });
    });

    it('finds tables that served nodes once, if they are there', async () => {
      const { networkId, nodes, explicitTableId, mainTableId } = world;
      const also = { tableIds: [], alsoIds: [mainTableId, 'rtb-0fffffffffffffff0'] };
      const some = await world.provider.tables({ ...also, networkId, subnetIds: [nodes[0].subnetId] }, signal());
      expect(some.map(({ id }) => id).sort()).toEqual([explicitTableId, mainTableId].sort());
      for (const network of [networkId, undefined]) {
        const alone = await world.provider.tables({ ...also, networkId: network, subnetIds: [] }, signal());
        expect(alone.map(({ id }) => id)).toEqual([mainTableId]);
      }
    });

    it('finds the tables with a tag, and says so where there is none', async () => {
      const { tag, networkId, nodes } = world;
      const tagged = (wanted: TableTag) =>
        world.provider.tables({ tableIds: [], tag: wanted, networkId, subnetIds: [nodes[1].subnetId] }, signal());

      expect((await tagged(tag)).map(({ id }) => id)).toEqual([world.explicitTableId]);
      await expect(tagged({ ...tag, value: 'another' })).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringContaining(`${tag.key}=another`),
        hint: expect.stringContaining('tag'),
      });
      await expect(tagged({ ...tag, value: '*' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    it('lets configured ids go before a tag', async () => {
      const { tag, networkId, mainTableId } = world;

      const chosen = await world.provider.tables({ tableIds: [mainTableId], tag, networkId, subnetIds: [] }, signal());

      expect(chosen.map(({ id }) => id)).toEqual([mainTableId]);
    });

    it('says what became of instances, and nothing of those it does not know', async () => {
      const { provider, spareInstanceId: spare } = world;
      const unknown = 'i-0fffffffffffffff0';
      const states = async () => Object.fromEntries(await provider.instances([unknown, spare, spare], signal()));

      expect(await states()).toEqual({ [spare]: 'running' });
      await world.stopInstance(spare);
      expect(await states()).toEqual({ [spare]: 'stopped' });
      await world.terminateInstance(spare);
      expect(await states()).toEqual({ [spare]: 'terminated' });
      expect(await provider.instances([], signal())).toEqual(new Map());
    });

    it('names a configured table that does not exist', async () => {
      const tableIds = [world.explicitTableId, 'rtb-0fffffffffffffff0'];

      await expect(
        world.provider.tables({ tableIds, networkId: world.networkId, subnetIds: [] }, signal()),
      ).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('rtb-0fffffffffffffff0') });
    });

    it.each([
      ['an IPv4 route', '10.244.1.0/24'],
      ['an IPv6 route', 'fd00:244:0:1::/64'],
    ])('creates, shows, replaces and deletes %s', async (_, text) => {
      const destination = cidr(text);
      const tableId = world.explicitTableId;
      const [first, second] = [await hop(0), await hop(1)];
      if (!world.provider.capabilities.families.includes(destination.family)) {
        const refused = world.provider.apply({ action: 'create', tableId, destination, nextHop: first }, signal());
        await expect(refused).rejects.toMatchObject({ code: 'INVALID' });
        return;
      }

      await world.provider.apply({ action: 'create', tableId, destination, nextHop: first }, signal());
      const created = await entry(tableId, destination);
      expect(created).toMatchObject({ destination, origin: 'static', state: 'active' });
      expect([first.nicId, first.instanceId]).toContain(created?.target.id);

      if (world.provider.capabilities.replacesInPlace && created) {
        const expected = created.target;
        await world.provider.apply({ action: 'replace', tableId, destination, nextHop: second, expected }, signal());
        expect([second.nicId, second.instanceId]).toContain((await entry(tableId, destination))?.target.id);
      }

      const expected = (await entry(tableId, destination))?.target ?? { kind: 'nic', id: second.nicId };
      await world.provider.apply({ action: 'delete', tableId, destination, expected }, signal());
      expect(await entry(tableId, destination)).toBeUndefined();
    });

    it('refuses to create a route that exists already, and leaves it as it is', async () => {
      const destination = cidr('10.244.2.0/24');
      const tableId = world.explicitTableId;
      const [first, second] = [await hop(0), await hop(1)];
      await world.provider.apply({ action: 'create', tableId, destination, nextHop: first }, signal());
      const before = await entry(tableId, destination);

      if (!world.provider.capabilities.coexistingRoutes) {
        const again = world.provider.apply({ action: 'create', tableId, destination, nextHop: second }, signal());
        await expect(again).rejects.toMatchObject({ code: 'CONFLICT' });
      }

      expect(await entry(tableId, destination)).toEqual(before);
      const expected = before?.target ?? { kind: 'nic', id: first.nicId };
      await world.provider.apply({ action: 'delete', tableId, destination, expected }, signal());
    });

    it('refuses to replace a route that is not there, and makes none', async () => {
      const destination = cidr('10.244.3.0/24');
      const tableId = world.explicitTableId;
      const nextHop = await hop(0);
      const expected = { kind: 'nic', id: nextHop.nicId } as const;

      const replaced = world.provider.apply({ action: 'replace', tableId, destination, nextHop, expected }, signal());

      const code = world.provider.capabilities.replacesInPlace ? 'CONFLICT' : 'INVALID';
      await expect(replaced).rejects.toMatchObject({ code });
      expect(await entry(tableId, destination)).toBeUndefined();
    });

    it('takes the deletion of an absent route as done', async () => {
      const destination = cidr('10.244.4.0/24');
      const expected = { kind: 'nic', id: world.nodes[0].nicId } as const;

      await world.provider.apply({ action: 'delete', tableId: world.mainTableId, destination, expected }, signal());

      expect(await entry(world.mainTableId, destination)).toBeUndefined();
    });

    it('names the table or the NIC of a change that does not exist', async () => {
      const destination = cidr('10.244.5.0/24');
      const nextHop = await hop(0);
      const gone: NextHop = { ...nextHop, nicId: 'eni-0fffffffffffffff0', instanceId: 'i-0fffffffffffffff0' };

      await expect(
        world.provider.apply({ action: 'create', tableId: 'rtb-0fffffffffffffff0', destination, nextHop }, signal()),
      ).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('rtb-0fffffffffffffff0') });
      await expect(
        world.provider.apply({ action: 'create', tableId: world.mainTableId, destination, nextHop: gone }, signal()),
      ).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('0fffffffffffffff0') });
    });

    it('finds what stands in the way of pods, each with what to do, and what does not', async () => {
      const nextHop = { ...(await hop(0)), forwards: false };
      const { networkId } = world;
      const subject = { networks: [cidr('10.0.0.0/8')], nextHop, tables: [], networkId, needs: 'read' } as const;
      const statusOf = (findings: readonly Finding[], check: string) =>
        findings.filter((finding) => finding.check === check).map(({ status }) => status);

      const bad = await world.provider.diagnose(subject, signal());
      const fine = { ...subject, networks: [cidr('10.244.0.0/16')], nextHop: { ...nextHop, forwards: true } };
      const good = await world.provider.diagnose(fine, signal());

      expect(statusOf(bad, 'source/dest check')).toEqual(['failed']);
      expect(statusOf(bad, 'overlap vpc')).toEqual(['failed']);
      expect(bad.find(({ check }) => check === 'overlap vpc')?.found).toContain(networkId);
      expect(bad.filter(({ status, remedy }) => status !== 'ok' && !remedy)).toEqual([]);
      expect(statusOf(good, 'source/dest check')).toEqual(['ok']);
      expect(statusOf(good, 'overlap vpc')).toEqual(['ok']);
    });

    it('finds nothing wrong with a machine that needs nothing, and checks nothing that it does not know', async () => {
      const unknown = { networks: [], nextHop: undefined, tables: [], networkId: undefined } as const;

      const none = await world.provider.diagnose({ ...unknown, needs: 'none' }, signal());
      const some = await world.provider.diagnose({ ...unknown, needs: 'read' }, signal());

      expect(none.map(({ status }) => status)).toEqual(['ok']);
      expect(some.filter(({ status }) => status === 'failed')).toEqual([]);
      expect(some.filter(({ found }) => found.startsWith('not checked')).length).toBeGreaterThan(1);
    });

    it('ends with an AbortError when its signal has fired', async () => {
      const aborted = AbortSignal.abort();
      const selector = { tableIds: [], networkId: world.networkId, subnetIds: [world.nodes[0].subnetId] };

      await expect(world.provider.tables(selector, aborted)).rejects.toMatchObject({ name: 'AbortError' });
      await expect(world.provider.identify(aborted)).rejects.toMatchObject({ name: 'AbortError' });
    });
  });
}
