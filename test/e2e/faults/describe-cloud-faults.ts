/**
 * What a cloud's API can do to those who write routes, done to a whole cluster while its pods talk. Each time a route of a node that
 * nobody talks to is removed by hand, so that there is something to write; once the cloud behaves again it must come back by itself.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CloudFault, CloudName, CloudWorld, Role } from '../../clouds/cloud-world.ts';
import type { LogLine } from '../../fabric/agent.ts';
import type { ClusterNode } from '../../fabric/cluster.ts';
import { sizeOfRun } from '../../support/figures.ts';
import { until } from '../../support/until.ts';
import { type FaultLab, startFaultLab } from './fault-lab.ts';
import { recordFault } from './survival.ts';

/** Where a fault is done. */
export interface Place {
  readonly world: CloudWorld;
  /** Of those who write routes. */
  readonly role: Role;
  /** Loses a route of the node that nobody talks to. */
  readonly tableId: string;
  readonly victim: ClusterNode;
  /** Takes that route out. */
  remove(): Promise<void>;
}

export interface CloudFaultCase {
  /** As in the document: `EC2 throttles every call`. */
  readonly name: string;
  /** From now on until `heal`. The route is removed right after it. */
  harm(place: Place): void | Promise<void>;
  /** Default: faults are cleared. */
  heal?(place: Place): void | Promise<void>;
  /** How long, seconds; 0 leaves the case out. */
  readonly seconds: Readonly<Record<'ci' | 'long', number>>;
  /** What a line of the writer says, to those who look closely (--log-level=debug). Absent where nothing need be said. */
  readonly says?: RegExp;
  /** The same for everybody, as a warning or an error. */
  readonly warns?: RegExp;
  /** Whether the route may come back while the fault lasts. Default no: if it did, the fault struck nothing. */
  readonly passes?: boolean;
}

const every = (effect: CloudFault['effect'], more: Partial<CloudFault> = {}) => ({
  harm: ({ world }: Place) => world.inject({ times: Number.POSITIVE_INFINITY, effect, ...more }),
});

/** Somebody's own route, outside the pod network, that takes the last place of a table. */
const fillsTable = '172.20.0.0/16';

/** The right to make a route, in the cloud's own words. */
function writeRight(world: CloudWorld, role: Role): string {
  const found = world
    .readmeRights(role)
    .find((right) => /(?:Create\w*Route|routes\.(?:insert|create)$|routes\/write)/i.test(right));
  if (found === undefined) throw new Error(`no right to make a route among ${world.readmeRights(role).join(', ')}`);
  return found;
}

/** Faults that every cloud knows. */
export const cloudFaultCases = {
  throttled: {
    name: 'every call throttled',
    ...every({ kind: 'refuse', as: 'throttled' }),
    seconds: { ci: 8, long: 180 },
    says: /throttl|too many|rate/i,
    warns: /throttl|too many|rate/i,
  },
  errors: {
    name: 'every call answered with an internal error',
    ...every({ kind: 'refuse', as: 'server' }),
    seconds: { ci: 0, long: 120 },
    says: /internal|unavailable|server/i,
  },
  unavailable: {
    name: 'a load balancer that answers 503 to every call',
    ...every({ kind: 'status', status: 503 }),
    seconds: { ci: 6, long: 120 },
    says: /503|unavailable/i,
  },
  silent: {
    name: 'no answer to any call',
    ...every({ kind: 'delay', ms: 60_000 }),
    seconds: { ci: 33, long: 180 },
    says: /no answer|time|deadline/i,
  },
  cut: {
    name: 'every connection cut before an answer',
    ...every({ kind: 'cut' }),
    seconds: { ci: 6, long: 120 },
    says: /connection|socket|reset|hang up|reach/i,
  },
  cutAfter: {
    name: 'connections cut after the change was made',
    ...every({ kind: 'cut' }, { when: 'after', times: 6 }),
    seconds: { ci: 6, long: 60 },
    passes: true,
  },
  slow: {
    name: 'every answer three seconds late',
    ...every({ kind: 'delay', ms: 3_000 }),
    seconds: { ci: 0, long: 120 },
    passes: true,
  },
  denied: {
    name: 'the right to make routes withdrawn and given back',
    harm: ({ world, role }) => world.setRights(role, { readmeWithout: writeRight(world, role) }),
    heal: ({ world, role }) => world.setRights(role, 'readme'),
    seconds: { ci: 6, long: 120 },
    warns: /not authorized|denied|permission|forbidden|right/i,
  },
  quota: {
    name: 'the route quota filled by somebody else, and freed',
    async harm({ world, tableId, victim, remove }) {
      // Nobody of ours may be quicker than the other hand.
      world.inject({ times: Number.POSITIVE_INFINITY, effect: { kind: 'refuse', as: 'server' } });
      await remove();
      await world.putRoute(tableId, fillsTable, victim.instance);
      const used = Object.keys(await world.staticRoutes(tableId)).length;
      // EC2 counts the VPC's own route as well.
      world.setRouteLimit(world.type === 'aws-vpc' ? used + 1 : used);
      world.clearFaults();
    },
    async heal({ world, tableId }) {
      await world.removeRoute(tableId, fillsTable);
      world.setRouteLimit(100);
    },
    seconds: { ci: 8, long: 120 },
    warns: /limit|quota/i,
  },
  lag: {
    name: 'reads that lag five seconds behind writes',
    harm: ({ world }) => world.setReadLag(5_000),
    heal: ({ world }) => world.setReadLag(0),
    seconds: { ci: 8, long: 120 },
    passes: true,
  },
} as const satisfies Readonly<Record<string, CloudFaultCase>>;

export interface CloudFaultSuite {
  readonly cloud: CloudName;
  /** `EC2`, in the document. */
  readonly title: string;
  readonly writer: 'node' | 'controller';
  readonly cases: readonly CloudFaultCase[];
}

/** Of all who write, about one fault: said, said again when it changes, and said when it is over. */
const mostLines = 6;

/**
 * Most requests while a fault lasts. Each who writes begins with two reads that are tried again at growing intervals, up to some seconds;
 * from then on it asks no more than every other second. Of two controllers one asks.
 */
function mostRequests(writer: 'node' | 'controller', seconds: number): number {
  const writers = writer === 'node' ? 4 : 1;
  return writers * (16 + seconds / 2);
}

/** Declares a test for each case. */
export function describeCloudFaults({ cloud, title, writer, cases }: CloudFaultSuite): void {
  describe(`${title}, routes written by ${writer === 'node' ? 'each node' : 'a controller'}`, () => {
    const size = sizeOfRun();
    let lab: FaultLab;
    let victim: ClusterNode;

    beforeAll(async () => {
      // Longer than a write of any cloud may take; no test of these waits for another leader.
      const controllerArgs = ['--leader-elect-lease-duration=60s'];
      lab = await startFaultLab({ cloud, writer, controllerArgs, agentArgs: ['--log-level=debug'] });
      const { world } = lab.cluster;
      world.setRights(writer, 'readme');
      victim = await lab.cluster.addNode({
        ...{ name: 'four', subnet: 'second' },
        address: world.subnets[1].cidr.replace(/\.0\/\d+$/, '.14'),
      });
      lab.added.push(victim);
      lab.startAgent(victim);
      await victim.agent.ready(60_000);
    }, 240_000);

    afterAll(async () => {
      await lab?.stop();
    });

    const log = (): readonly LogLine[] =>
      writer === 'node' ? victim.agent.log() : lab.controllers.flatMap((controller) => controller.log());

    const chosen = cases.filter(({ seconds }) => seconds[size] > 0);
    test.each(chosen.map((each) => [each.name, each] as const))(
      '%s: no packet lost, said once, made good afterwards',
      async (_, faultCase) => {
        const { world } = lab.cluster;
        const { passes = false, says, warns } = faultCase;
        const seconds = faultCase.seconds[size];
        const subnet = await victim.podSubnet();
        const tableId = world.tableIds.at(-1) ?? '';
        const isThere = async (): Promise<boolean> =>
          (await world.forwarding(tableId)).some(({ destination }) => destination === subnet);
        const remove = () => world.removeRoute(tableId, subnet);
        const place = { world, role: writer, tableId, victim, remove };
        let requests = 0;
        let cameBack = false;
        let lines: readonly LogLine[] = [];
        const survival = await lab.survive(
          async () => {
            const since = new Date().toISOString();
            await faultCase.harm(place);
            await place.remove();
            world.resetRequests();
            await delay(seconds * 1_000);
            cameBack = await isThere();
            requests = world.requests().length;
            lines = log().filter(({ time }) => time >= since);
            const heal = 'heal' in faultCase ? faultCase.heal : undefined;
            if (heal) await heal(place);
            else world.clearFaults();
          },
          { settleMs: 120_000 },
        );
        await until('the route is back', isThere);
        if (process.env['FAULT_SHOW'])
          console.error(
            faultCase.name,
            survival,
            { requests, cameBack },
            lines.filter(({ level }) => level !== 'debug'),
          );
        expect(survival.packets.lost).toBe(0);
        expect(survival.broken).toEqual([]);
        if (!passes) expect(cameBack).toBe(false);
        expect(requests).toBeGreaterThan(0);
        expect(requests).toBeLessThanOrEqual(mostRequests(writer, seconds));
        const said = lines.map((line) => JSON.stringify(line));
        if (says) expect(said).toContainEqual(expect.stringMatching(says));
        const news = lines.filter(({ level }) => level !== 'debug').map((line) => JSON.stringify(line));
        // Where a cloud is asked slowly, some seconds are not enough for the fourth refusal, which is the one that is told.
        if (warns && (seconds > 20 || cloud === 'aws-vpc')) expect(news).toContainEqual(expect.stringMatching(warns));
        expect(news.length).toBeLessThanOrEqual(mostLines);
        const by = writer === 'node' ? 'each node' : 'a controller';
        await recordFault('cloud', survival, {
          what: `${title}, routes written by ${by}: ${faultCase.name}`,
          load: `4 nodes, ${seconds} s`,
          outcome: `${requests} requests meanwhile; all right ${(survival.settledMs / 1_000).toFixed(0)} s after it`,
        });
      },
      600_000,
    );
  });
}
