/** Who a machine is. */
import { expect } from '@jest/globals';
import { sameIp } from '../../../src/core/ip.ts';
import { ip } from '../../support/addresses.ts';
import { signal } from './limits.ts';
import type { Chapter } from './sentence.ts';

export const identity: Chapter = {
  about: 'a machine',
  sentences: [
    {
      says: 'says who it is, with every NIC and its addresses',
      async holds(lab) {
        for (const node of lab.nodes) {
          const me = await (await lab.provider(node)).identify(signal());

          expect(me.instanceId).toBe(node.id);
          const nics = me.nics.filter(({ addresses }) => addresses.some((each) => sameIp(each, ip(node.address))));
          expect(nics).toHaveLength(1);
          // Where the metadata server does not tell the NIC's id, its hardware address stands in for it.
          expect([node.nicId, node.mac.toLowerCase()]).toContain(nics[0]?.nicId);
          expect([node.subnet.id, undefined]).toContain(nics[0]?.subnetId);
          expect([lab.world.networkId, undefined]).toContain(nics[0]?.networkId);
          if (me.zone !== undefined) expect(me.zone).toContain(node.subnet.zone);
        }
      },
    },
    {
      says: 'says its IPv6 address where it has one',
      async holds(lab) {
        const [node] = lab.nodes;
        const { nics } = await (await lab.provider(node)).identify(signal());
        const sixes = nics.flatMap(({ addresses }) => addresses.filter(({ family }) => family === 6));

        expect(sixes).toEqual(node.address6 === undefined ? [] : [ip(node.address6)]);
      },
    },
    {
      says: 'is not told by the cloud’s API, which may be out of reach',
      async holds(lab) {
        const provider = await lab.provider(lab.nodes[0]);
        const requests = await lab.requestsOf(() => provider.identify(signal()));

        expect(requests).toEqual([]);
      },
    },
  ],
};
