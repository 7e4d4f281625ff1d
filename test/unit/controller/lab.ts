/** A cluster made of memory for the controller: a cloud with several subnets and tables, a store, and a clock turned by hand. */

import type { Leadership } from '../../../lease/election.ts';
import type { Lease, NodeIdentity } from '../../../lease/lease.ts';
import { createMemoryStores } from '../../../lease/memory/stores.ts';
import { createMemoryWorld, type MemoryWorld } from '../../../lease/memory/world.ts';
import type { OwnershipStore } from '../../../lease/ownership-store.ts';
import type { Stores } from '../../../lease/stores.ts';
import { withBudget } from '../../../providers/budget.ts';
import {
  createMemoryCloud,
  type MemoryCloud,
  type MemoryCloudOptions,
} from '../../../providers/memory/memory-cloud.ts';
import type { MemoryAction } from '../../../providers/memory/traffic.ts';
import type { OpenCloud } from '../../../src/cloud.ts';
import type { PassEvent } from '../../../src/controller/events.ts';
import { type LeadOptions, lead } from '../../../src/controller/lead.ts';
import { createObserver, type Look, type Observer, type ObserverOptions } from '../../../src/controller/observer.ts';
import { type PassOutcome, runPass } from '../../../src/controller/pass.ts';
import { ControllerState } from '../../../src/controller/state.ts';
import type { StepChoice } from '../../../src/controller/step-choice.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import type { LogFields, Logger } from '../../../src/core/log.ts';
import type { NetConf } from '../../../src/netconf/net-conf.ts';
import { buildReport } from '../../../src/report/build-report.ts';
import type { ClusterReport } from '../../../src/report/cluster-report.ts';
import type { Executor } from '../../../src/routing/execute.ts';
import { defaultDeletionPolicy } from '../../../src/routing/route-plan.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';
import { threeTables } from '../../support/three-tables.ts';

export const never = new AbortController().signal;
export const resyncMs = 300_000;

export interface LabOptions extends MemoryCloudOptions {
  /** How net-conf names tables; by default they are found from the nodes' subnets. */
  readonly named?: Pick<OpenCloud, 'tableIds' | 'tag'>;
  /** The machine of the controller; default one of the first network. */
  readonly machine?: string;
}

export interface JoinOptions {
  /** What the lease says of its machine, in place of the truth. */
  readonly node?: NodeIdentity | undefined;
  readonly address?: string;
  readonly backendType?: string;
  /** `none`: as real flannel writes it, without our member. */
  readonly identity?: 'ours' | 'none';
  readonly reserved?: boolean;
}

export interface Lab {
  readonly clock: TestClock;
  readonly world: MemoryWorld;
  readonly stores: Stores;
  readonly cloud: MemoryCloud;
  readonly openCloud: OpenCloud;
  readonly netConf: NetConf;
  readonly log: readonly LogLine[];
  readonly logger: Logger;
  /** Machine `a1` is instance `i-a1` with the NIC `eni-a1` in `subnet-a`, address 10.0.1.1; `b2` is in subnet-b: 10.0.2.2. */
  machine(...names: readonly string[]): void;
  /** A lease of 10.244.N.0/24 for a machine. */
  join(name: string, third: number, options?: JoinOptions): Lease;
  leave(third: number): void;
  observer(more?: Partial<ObserverOptions>): Observer;
  /** An observer with an executor: what a leader is made of. */
  writer(more?: Partial<ObserverOptions> & { readonly reap?: boolean; readonly ownership?: OwnershipStore }): Writer;
  /** The calls that the effect makes, identify aside. */
  spent(effect: () => Promise<unknown>): Promise<Readonly<Partial<Record<MemoryAction, number>>>>;
  lead(more?: Partial<LeadOptions> & LeaderSetting): Leader;
}

export interface LeaderSetting {
  /** Milliseconds before now that the leadership was won; default long ago. */
  readonly wonMsAgo?: number;
  /** Its waits end so many milliseconds before their time, as those of a machine's timers may. */
  readonly timersEarlyMs?: number;
  readonly assertNetConfStands?: () => Promise<void>;
}

export interface LogLine {
  readonly level: string;
  readonly text: string;
  readonly fields: LogFields;
}

export interface Writer {
  readonly observer: Observer;
  look(resync?: boolean): Promise<Look>;
  /** Looks and carries out; lets `ms` pass meanwhile. */
  pass(options?: Partial<StepChoice> & { readonly resync?: boolean; readonly ms?: number }): Promise<PassOutcome>;
  /** Resyncs apart by their time. */
  resyncs(count: number): Promise<PassOutcome>;
}

export interface Leader {
  readonly state: ControllerState;
  readonly passes: readonly PassEvent[];
  readonly stood: readonly number[];
  report(): ClusterReport;
  lose(): void;
  /** What ended it. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

const network = cidr('10.244.0.0/16');

export function createLab({ named = { tableIds: [] }, machine = 'i-ctl', ...options }: LabOptions = {}): Lab {
  const clock = createTestClock();
  const world = createMemoryWorld(clock);
  const stores = createMemoryStores(world);
  const cloud = createMemoryCloud({
    clock,
    ...threeTables,
    ...options,
  });
  cloud.addInstance({ id: 'i-ctl', nics: [{ id: 'eni-ctl', subnetId: 'subnet-d', addresses: ['10.0.4.250'] }] });
  const log: LogLine[] = [];
  const say =
    (level: string) =>
    (text: string, fields: LogFields = {}): void =>
      void log.push({ level, text, fields });
  const logger: Logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  const netConf: NetConf = {
    families: [4],
    ranges: {
      4: {
        network,
        subnetLength: 24,
        subnetMin: ip('10.244.0.0'),
        subnetMax: ip('10.244.255.0'),
      },
    },
    enableNFTables: false,
    backend: { type: 'memory', writer: 'controller', nonMasqueradeCidrs: [], config: {} },
  };
  const openCloud: OpenCloud = { provider: cloud.provider(machine), ...named };

  function observer(more: Partial<ObserverOptions> = {}): Observer {
    return createObserver({
      ...{ leases: stores.leases, ownership: stores.ownership, reports: stores.reports },
      ...{ cloud: openCloud, netConf, backendTypes: 'own', policy: defaultDeletionPolicy, routeLimit: undefined },
      ...{ clock, logger },
      ...more,
    });
  }

  const lab: Lab = {
    ...{ clock, world, stores, cloud, openCloud, netConf, log, logger, observer },
    machine(...names) {
      for (const name of names) {
        const nic = { id: `eni-${name}`, subnetId: `subnet-${name[0]}`, addresses: [addressOf(name)], forwards: true };
        cloud.addInstance({ id: `i-${name}`, nics: [nic] });
      }
    },
    join(name, third, { node, address = addressOf(name), backendType = '', identity = 'ours', reserved = false } = {}) {
      const truth = { instanceId: `i-${name}`, nicId: `eni-${name}`, nodeName: name };
      return world.putLease(
        { 4: cidr(`10.244.${third}.0/24`) },
        {
          publicIps: { 4: ip(address) },
          ...{ backendType, backendData: {}, node: identity === 'none' ? undefined : (node ?? truth) },
        },
        reserved ? undefined : 86_400,
      );
    },
    leave: (third) => void world.deleteLease({ 4: cidr(`10.244.${third}.0/24`) }),
    writer({ reap = false, ownership = stores.ownership, ...more } = {}) {
      const looks = observer(more);
      const executor: Executor = {
        ...{ provider: openCloud.provider, ownership, clock, logger, recent: new Map(), claimed: new Set() },
      };
      const writer: Writer = {
        observer: looks,
        look: (resync = false) => looks.look({ resync }, never),
        async pass({ resync = false, ms = 10_000, createsOnly = false, mostWrites = 100 } = {}) {
          const running = writer
            .look(resync)
            .then((look) =>
              runPass(
                { executor, observer: looks, reaper: reap ? stores.admin : undefined },
                look,
                { createsOnly, mostWrites },
                never,
              ),
            );
          running.catch(() => {});
          await clock.advance(ms);
          return await running;
        },
        async resyncs(count) {
          for (let done = 1; ; done++) {
            await clock.advance(resyncMs);
            const outcome = await writer.pass({ resync: true });
            if (done >= count) return outcome;
          }
        },
      };
      return writer;
    },
    async spent(effect) {
      cloud.resetCalls();
      await effect();
      const calls = Map.groupBy(
        cloud.calls.filter(({ action }) => action !== 'identify'),
        ({ action }) => action,
      );
      return Object.fromEntries([...calls].map(([action, list]) => [action, list.length]));
    },
    lead({ wonMsAgo = 3_600_000, timersEarlyMs = 0, assertNetConfStands = async () => {}, ...more } = {}) {
      return startLeader(lab, { wonMsAgo, timersEarlyMs, assertNetConfStands }, more);
    },
  };
  return lab;
}

function startLeader(
  { clock, world, stores, openCloud, netConf, logger }: Lab,
  { wonMsAgo, timersEarlyMs, assertNetConfStands }: Required<LeaderSetting>,
  more: Partial<LeadOptions>,
): Leader {
  const lost = new AbortController();
  const stopping = new AbortController();
  const { token } = world.putLeader({ holder: 'ctl', since: new Date(clock.now()).toISOString() }, 10 ** 9);
  const leadership: Leadership = {
    ...{ holder: 'ctl', since: clock.monotonic() - wonMsAgo, token, lost: lost.signal },
    assertHeld: () => lost.signal.throwIfAborted(),
    resign: async () => world.deleteLeader(token),
  };
  const provider = withBudget(openCloud.provider, {
    ...{ clock, logger, random: () => 0.5, beforeWrite: () => leadership.assertHeld() },
  });
  const state = new ControllerState({
    ...{ holder: 'ctl', dryRun: more.dryRun ?? false, now: () => clock.now() },
    empty: {
      ...{ version: 'test', networks: ['10.244.0.0/16'], backendType: 'memory', writer: 'controller' },
      ...{ store: 'memory', healthy: true, problems: [], nodes: [], tables: [], routes: [] },
    },
  });
  const passes: PassEvent[] = [];
  const stood: number[] = [];
  const events = {
    passed: (event: PassEvent): void => void passes.push(event),
    routesStood: (ms: number): void => void stood.push(ms),
    reported() {},
    leading() {},
  };
  const hasty = { ...clock, sleep: (ms: number, signal: AbortSignal) => clock.sleep(ms - timersEarlyMs, signal) };
  const running = lead(
    {
      ...{ ...stores, cloud: { ...openCloud, provider }, netConf, state, events, logger, clock: hasty },
      ...{ random: () => 0.5, assertNetConfStands },
    },
    {
      ...{ resyncMs, dryRun: false, reapTerminated: false, backendTypes: 'own' },
      ...{ routeLimit: undefined, policy: defaultDeletionPolicy, ...more },
    },
    leadership,
    stopping.signal,
  );
  const ended = running.then(
    () => undefined,
    (error: unknown) => error,
  );
  return {
    ...{ state, passes, stood, ended },
    report: () => state.report(),
    lose: () => lost.abort(new FlannelVpcError('LEADERSHIP_LOST', 'a test took the leadership away')),
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

/** The private address of a machine: its subnet by the letter, its number by the digits. */
export function addressOf(name: string): string {
  return `10.0.${'abcd'.indexOf(name[0] ?? '') + 1}.${Number(name.slice(1))}`;
}

/** `action table destination` of the steps, in their order. */
export function stepsOf(
  steps: readonly { readonly action: string; readonly tableId: string; readonly destination: Lease['subnets'][4] }[],
) {
  return steps.map(
    ({ action, tableId, destination }) => `${action} ${tableId} ${destination ? formatCidr(destination) : ''}`,
  );
}

/** The report of a look. */
export function reportOf({ netConf }: Lab, look: Look, failures: readonly FlannelVpcError[] = []): ClusterReport {
  return buildReport({ look, netConf, version: 'test', store: 'memory', failures });
}
