/** The rights in the provider's README: enough for all that a role does, and each of them needed. */
import { expect } from '@jest/globals';
import type { CloudProvider, NextHop } from '../../../providers/provider.ts';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { ip } from '../../support/addresses.ts';
import type { CloudInstance, Role } from '../cloud-world.ts';
import { creation, deletion, type Lab, only, replacement } from './lab.ts';
import { networks, signal } from './limits.ts';
import type { Chapter, Sentence } from './sentence.ts';
import type { Caller } from './subject.ts';

/** What a denied call tells, with what a diagnosis finds missing; undefined when nothing was denied. */
type Complaint = string | undefined;

const callerOf = (lab: Lab, role: Role): Caller => (role === 'node' ? lab.closed : role);

async function resolved(lab: Lab, provider: CloudProvider, node: CloudInstance): Promise<NextHop> {
  const claim = { address: ip(node.address), instanceId: node.id, nicId: node.nicId, networkId: lab.world.networkId };
  const [found] = await provider.resolve([claim], signal());
  if (found?.kind !== 'resolved') throw new Error(`not resolved: ${found?.reason}`);
  return found.nextHop;
}

/** Everything that somebody of the role does, once. */
export async function everything(lab: Lab, role: Role): Promise<void> {
  const provider = await lab.provider(callerOf(lab, role));
  const { networkId, tableIds, subnets } = lab.world;
  const own = await resolved(lab, provider, lab.closed);
  await provider.tables({ tableIds: [], networkId, subnetIds: [subnets[0].id] }, signal());
  await provider.tables({ tableIds, networkId, subnetIds: [] }, signal());
  if (role !== 'node') {
    await provider.instances([lab.nodes[0].id, lab.nodes[1].id], signal());
    const many = Array.from({ length: 60 }, (_, at) => ({ address: ip(`10.9.1.${at}`), networkId }));
    await provider.resolve([...many, { address: ip(lab.nodes[1].address), networkId }], signal());
  }
  if (role === 'reader') return;
  if (lab.capabilities.forwarding.settable) await provider.prepare(own, signal());
  const other = await lab.hop(lab.nodes[0]);
  const destination = lab.destination();
  await provider.apply(creation(lab, destination, other), signal());
  const before = only(await lab.standing(destination));
  if (lab.capabilities.replacesInPlace) {
    await provider.apply(replacement(destination, lab.tableId, before, own), signal());
  } else if (lab.capabilities.coexistingRoutes) {
    await provider.apply({ ...creation(lab, destination, own), beside: [before] }, signal());
  }
  for (const entry of await lab.standing(destination)) {
    await provider.apply(deletion(destination, lab.tableId, entry), signal());
  }
  if (role === 'controller' && provider.applyBatch) await everyBatch(lab, provider, [own, other]);
}

async function everyBatch(lab: Lab, provider: CloudProvider, [own, other]: readonly [NextHop, NextHop]): Promise<void> {
  const places = [lab.destination(), lab.destination()];
  const batch = async (changes: Parameters<NonNullable<CloudProvider['applyBatch']>>[1]) => {
    const results = (await provider.applyBatch?.(lab.tableId, changes, signal())) ?? [];
    for (const result of results) if (result) throw result;
  };
  await batch(places.map((destination) => creation(lab, destination, other)));
  const standing = await Promise.all(places.map(async (destination) => only(await lab.standing(destination))));
  const both = places.map((destination, at) => ({ destination, entry: only(standing.slice(at, at + 1)) }));
  if (lab.capabilities.replacesInPlace) {
    await batch(both.map(({ destination, entry }) => replacement(destination, lab.tableId, entry, own)));
  }
  for (const one of both) one.entry = only(await lab.standing(one.destination));
  await batch(both.map(({ destination, entry }) => deletion(destination, lab.tableId, entry)));
}

/** The same with the doctor's look. `known`: what that finds with all rights of the README. */
async function complaintOf(lab: Lab, role: Role, known: ReadonlySet<string>): Promise<Complaint> {
  try {
    await everything(lab, role);
    const missing = (await findings(lab, role)).filter((text) => !known.has(text));
    return missing.length === 0 ? undefined : missing.join();
  } catch (error) {
    if (!isFlannelVpcError(error, 'PERMISSION_DENIED')) throw error;
    return `${error.details['action']} ${error.message} ${error.hint}`;
  }
}

/** What a diagnosis finds wrong or can't find out. Other people's firewalls are none of this suite's business. */
async function findings(lab: Lab, role: Role): Promise<readonly string[]> {
  const provider = await lab.provider(callerOf(lab, role));
  const needs = ({ node: 'write', controller: 'control', reader: 'read' } as const)[role];
  const subject = {
    ...{ networks: [networks[4].network], nextHop: await lab.hop(lab.closed), networkId: lab.world.networkId },
    ...{ tables: await lab.tables(), needs },
  };
  const found = await provider.diagnose(subject, signal());
  return found.filter(({ status }) => status !== 'ok').map((finding) => JSON.stringify(finding));
}

/** Leaves the table and the switch as they were, so that all has to be done anew. */
async function tidy(lab: Lab): Promise<void> {
  await lab.reset();
  await lab.world.setForwards(lab.closed.nicId, false);
  // So that changes have to be waited for, which can need a right of its own.
  lab.world.setOperationDelay(30);
}

function enough(role: Role): Sentence {
  return {
    says: `that the README gives a ${role} are enough for all that it does`,
    async holds(lab) {
      await tidy(lab);
      lab.world.setRights(role, 'readme');

      const requests = await lab.requestsOf(() => everything(lab, role));

      const name = role === 'node' ? `node/${lab.closed.id}` : `${role}/`;
      expect(requests.filter(({ caller }) => caller.startsWith(name)).length).toBeGreaterThan(0);
      await tidy(lab);
    },
  };
}

function needed(role: Role): Sentence {
  return {
    says: `that the README gives a ${role} are each needed, and one that is missing is named`,
    async holds(lab) {
      await tidy(lab);
      lab.world.setRights(role, 'readme');
      const known = new Set(await findings(lab, role));
      const rights = lab.world.readmeRights(role);
      expect(rights.length).toBeGreaterThan(0);
      const unmissed: string[] = [];
      for (const right of rights) {
        await tidy(lab);
        lab.world.setRights(role, { readmeWithout: right });
        const complaint = await complaintOf(lab, role, known);
        if (!complaint?.includes(right)) unmissed.push(`${right}: ${complaint ?? 'nothing denied'}`);
      }
      await tidy(lab);
      expect(unmissed).toEqual([]);
    },
  };
}

export const rights: Chapter = {
  about: 'rights',
  sentences: [
    ...(['node', 'controller', 'reader'] as const).flatMap((role) => [enough(role), needed(role)]),
    {
      says: 'that the README gives a reader let nothing be written, and a refusal says which is missing',
      async holds(lab) {
        const nextHop = await lab.hop(lab.nodes[0]);
        const destination = lab.destination();
        await lab.world.putRoute(lab.tableId, formatCidr(destination), lab.nodes[1]);
        const entry = only(await lab.standing(destination));
        lab.world.setRights('reader', 'readme');
        const provider = await lab.provider('reader');
        const before = await lab.others([]);
        const closed = await lab.hop(lab.closed);
        const writes = [
          () => provider.apply(creation(lab, lab.destination(), nextHop), signal()),
          () => provider.apply(deletion(destination, lab.tableId, entry), signal()),
          ...(lab.capabilities.forwarding.settable ? [() => provider.prepare(closed, signal())] : []),
        ];

        for (const write of writes) {
          await expect(write()).rejects.toMatchObject({
            code: 'PERMISSION_DENIED',
            details: { action: expect.stringMatching(/./) },
          });
        }
        expect(await lab.others([])).toBe(before);
      },
    },
  ],
};
