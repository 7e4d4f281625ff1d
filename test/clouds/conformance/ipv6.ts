/** IPv6, where the cloud routes it. */
import { expect } from '@jest/globals';
import { ip } from '../../support/addresses.ts';
import { creation, type Lab } from './lab.ts';
import { signal } from './limits.ts';
import { moves } from './moves.ts';
import type { Chapter } from './sentence.ts';
import { apply, wholeLife } from './writes.ts';

/** Where it does not, that is said. */
async function refused(lab: Lab): Promise<boolean> {
  if (lab.capabilities.families.includes(6)) return false;
  const change = creation(lab, lab.destination(6), await lab.hop(lab.nodes[0]));
  await expect(apply(lab, change)).rejects.toMatchObject({ code: 'INVALID' });
  return true;
}

export const ipv6: Chapter = {
  about: 'IPv6',
  sentences: [
    {
      says: 'has routes that are created, shown, replaced and deleted like any other, or is refused',
      async holds(lab) {
        if (!(await refused(lab))) await wholeLife(lab, 6);
      },
    },
    {
      says: 'has moves like any other',
      async holds(lab) {
        if (!(await refused(lab))) await moves(lab, 6);
      },
    },
    {
      says: 'addresses are resolved to their machine, beside IPv4',
      async holds(lab) {
        const [node] = lab.nodes;
        if (await refused(lab)) return;
        const { networkId } = lab.world;
        const claims = [node.address6, node.address].map((text) => ({ address: ip(text ?? '::1'), networkId }));

        const resolutions = await (await lab.provider('controller')).resolve(claims, signal());

        const found = { kind: 'resolved', nextHop: expect.objectContaining({ nicId: node.nicId }) };
        expect(resolutions).toEqual([found, found]);
      },
    },
    {
      says: 'and IPv4 stand side by side for one machine',
      async holds(lab) {
        if (await refused(lab)) return;
        const nextHop = await lab.hop(lab.nodes[0]);
        const both = [lab.destination(4), lab.destination(6)];
        const before = await lab.others(both);
        for (const destination of both) await apply(lab, creation(lab, destination, nextHop));

        for (const destination of both) expect(await lab.followed(destination)).toBe(lab.nodes[0].nicId);
        expect(await lab.others(both)).toBe(before);
      },
    },
  ],
};
