/** What a lease claims, and what the cloud makes of it. */
import { expect } from '@jest/globals';
import type { CloudProvider, Resolution } from '../../../providers/provider.ts';
import { ip } from '../../support/addresses.ts';
import { hostOf } from '../world-contract.ts';
import type { Lab } from './lab.ts';
import { signal } from './limits.ts';
import type { Chapter } from './sentence.ts';

const nobody = '203.0.113.77';

function nicOf(resolution: Resolution | undefined): string | undefined {
  return resolution?.kind === 'resolved' ? resolution.nextHop.nicId : undefined;
}

/** An id of the same shape that the cloud never gave. */
export function unknownId(id: string): string {
  const last = id.at(-1) ?? '';
  return `${id.slice(0, -1)}${last === '7' ? '8' : '7'}${/^[a-z]+-[0-9a-f]+$/.test(id) ? '' : 'x'}`;
}

async function stateOf(provider: CloudProvider, id: string): Promise<string | undefined> {
  return (await provider.instances([id], signal())).get(id);
}

async function someInstance(lab: Lab, host: number) {
  const [subnet] = lab.world.subnets;
  return await lab.world.runInstance(subnet, hostOf(subnet.cidr, host), { forwards: true });
}

export const resolve: Chapter = {
  about: 'a lease’s holder',
  sentences: [
    {
      says: 'is resolved in the order asked, those that fit nothing among them',
      async holds(lab) {
        const [a, b] = lab.nodes;
        const { networkId } = lab.world;
        const claims = [b.address, nobody, a.address].map((address) => ({ address: ip(address), networkId }));

        const [second, none, first] = await (await lab.provider('controller')).resolve(claims, signal());

        expect(second).toMatchObject({ kind: 'resolved', nextHop: { nicId: b.nicId, instanceId: b.id } });
        expect(none).toMatchObject({ kind: 'unresolved', reason: expect.stringContaining(nobody) });
        expect(first).toMatchObject({
          kind: 'resolved',
          nextHop: { nicId: a.nicId, instanceId: a.id, subnetId: a.subnet.id, networkId },
        });
      },
    },
    {
      says: 'is found by an agent for itself, by what its lease says',
      async holds(lab) {
        for (const node of lab.nodes) {
          const provider = await lab.provider(node);
          const claim = {
            ...{ address: ip(node.address), instanceId: node.id, nicId: node.nicId },
            networkId: lab.world.networkId,
          };

          expect((await provider.resolve([claim], signal())).map(nicOf)).toEqual([node.nicId]);
        }
      },
    },
    {
      says: 'is not whom a lease names when the address is another machine’s',
      async holds(lab) {
        const [a, b] = lab.nodes;
        const { networkId } = lab.world;
        for (const named of [{ nicId: b.nicId, instanceId: b.id }, { instanceId: b.id }, { nicId: b.nicId }]) {
          const claim = { address: ip(a.address), networkId, ...named };
          const [resolution] = await (await lab.provider('controller')).resolve([claim], signal());

          // A cloud that is asked for the named machine alone can only say that the address is not its.
          expect([a.nicId, undefined]).toContain(nicOf(resolution));
          if (resolution?.kind === 'unresolved') expect(resolution.reason).not.toBe('');
        }
      },
    },
    {
      says: 'is not found in another network',
      async holds(lab) {
        const [a] = lab.nodes;
        const claim = { address: ip(a.address), networkId: unknownId(lab.world.networkId) };

        const [resolution] = await (await lab.provider('controller')).resolve([claim], signal());

        expect(resolution).toMatchObject({ kind: 'unresolved' });
      },
    },
    {
      says: 'costs no request when there is none',
      async holds(lab) {
        const provider = await lab.provider('controller');
        let found: unknown;
        const requests = await lab.requestsOf(async () => {
          found = [await provider.resolve([], signal()), [...(await provider.instances([], signal()))]];
        });

        expect(found).toEqual([[], []]);
        expect(requests).toEqual([]);
      },
    },
    {
      says: 'costs few requests when there are many',
      async holds(lab) {
        const provider = await lab.provider('controller');
        const { networkId } = lab.world;
        const claims = Array.from({ length: 120 }, (_, at) => ({ address: ip(`10.9.0.${at}`), networkId }));
        const [node] = lab.nodes;

        const requests = await lab.requestsOf(async () => {
          const found = await provider.resolve([...claims, { address: ip(node.address), networkId }], signal());
          expect(found.map(nicOf)).toEqual([...claims.map(() => undefined), node.nicId]);
        });

        expect(requests.length).toBeLessThan(claims.length / 2);
      },
    },
    {
      says: 'is told with whether it forwards',
      async holds(lab) {
        const { closed, nodes } = lab;

        expect((await lab.hop(nodes[0])).forwards).toBe(true);
        expect((await lab.hop(closed)).forwards).toBe(await lab.world.forwards(closed.nicId));
        await lab.world.setForwards(closed.nicId, false);
        expect((await lab.hop(closed)).forwards).toBe(false);
      },
    },
    {
      says: 'is let forward by whom the cloud allows that, and left to a person where it does not',
      async holds(lab) {
        const { closed, world } = lab;
        await world.setForwards(closed.nicId, false);
        const provider = await lab.provider(closed);
        const nextHop = await lab.hop(closed);
        if (!lab.capabilities.forwarding.settable) {
          const prepared = provider.prepare(nextHop, signal());
          await expect(prepared).rejects.toMatchObject({ code: 'INVALID', hint: expect.any(String) });
          expect(await world.forwards(closed.nicId)).toBe(false);
          return;
        }

        await provider.prepare(nextHop, signal());
        expect(await world.forwards(closed.nicId)).toBe(true);
        expect((await lab.hop(closed)).forwards).toBe(true);
        await provider.prepare(nextHop, signal());
        expect(await world.forwards(closed.nicId)).toBe(true);
        await world.setForwards(closed.nicId, false);
      },
    },
    {
      says: 'is known to run, to be stopped and to be gone; and nothing is made up of who is not known',
      async holds(lab) {
        const provider = await lab.provider('controller');
        const spare = await someInstance(lab, lab.host());
        const unknown = unknownId(spare.id);

        const states = await provider.instances([unknown, spare.id, spare.id, lab.nodes[1].id], signal());
        expect(states.get(spare.id)).toBe('running');
        expect(states.get(lab.nodes[1].id)).toBe('running');
        // One that was asked for by name, and of which the cloud says that there is none, has ended.
        expect([undefined, 'terminated']).toContain(states.get(unknown));
        await lab.world.stopInstance(spare.id);
        expect(await stateOf(provider, spare.id)).toMatch(/^stopp/);
        await lab.world.startInstance(spare.id);
        expect(await stateOf(provider, spare.id)).toBe('running');
        await lab.world.terminateInstance(spare.id);
        expect([undefined, 'terminated']).toContain(await stateOf(provider, spare.id));
        const claim = { address: ip(spare.address), networkId: lab.world.networkId };
        expect(await provider.resolve([claim], signal())).toMatchObject([{ kind: 'unresolved' }]);
      },
    },
  ],
};
