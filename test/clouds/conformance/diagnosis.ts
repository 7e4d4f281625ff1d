/** What the cloud itself says stands in the way. */
import { expect } from '@jest/globals';
import type { Finding } from '../../../providers/diagnosis.ts';
import { cidr } from '../../support/addresses.ts';
import { networks, signal } from './limits.ts';
import type { Chapter } from './sentence.ts';

const failed = (findings: readonly Finding[]) => findings.filter(({ status }) => status === 'failed');

export const diagnosis: Chapter = {
  about: 'a diagnosis',
  sentences: [
    {
      says: 'finds what stands in the way of pods, each with what to do, and what does not',
      async holds(lab) {
        const provider = await lab.provider('reader');
        const { networkId, networkCidr } = lab.world;
        const tables = await lab.tables();
        const nextHop = await lab.hop(lab.nodes[0]);
        const subject = { tables, networkId, needs: 'read' } as const;
        const overlapping = [cidr(networkCidr)];

        const bad = await provider.diagnose(
          { ...subject, networks: overlapping, nextHop: { ...nextHop, forwards: false } },
          signal(),
        );
        const good = await provider.diagnose({ ...subject, networks: [networks[4].network], nextHop }, signal());

        const { name } = lab.capabilities.forwarding;
        // Firewalls and the like may be in the way of both; they are the cloud's own.
        const still = new Set(failed(good).map(({ check }) => check));
        const mended = failed(bad).filter(({ check }) => !still.has(check));
        expect(mended.map(({ check }) => check)).toContain(name);
        expect(mended.filter(({ check }) => check !== name).length).toBeGreaterThan(0);
        expect([...bad, ...good].filter(({ status, remedy }) => status !== 'ok' && !remedy)).toEqual([]);
        expect(good.find(({ check }) => check === name)?.status).toBe('ok');
      },
    },
    {
      says: 'finds nothing wrong with a machine that needs nothing, and checks nothing that it does not know',
      async holds(lab) {
        const provider = await lab.provider('reader');
        const unknown = { networks: [], nextHop: undefined, tables: [], networkId: undefined } as const;

        const none = await provider.diagnose({ ...unknown, needs: 'none' }, signal());
        const some = await provider.diagnose({ ...unknown, needs: 'read' }, signal());

        expect(none.length).toBeGreaterThan(0);
        expect(none.filter(({ status }) => status !== 'ok')).toEqual([]);
        expect(failed(some)).toEqual([]);
        expect(some.filter(({ found }) => found.startsWith('not checked')).length).toBeGreaterThan(1);
      },
    },
  ],
};
