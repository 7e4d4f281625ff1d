/** The controller: waits for net-conf, stands for election, leads while it may, and stands again. */
import type { ElectionOptions, LeaderElection, Leadership } from '../../lease/election.ts';
import { assertNetConfStands, NetConfChanged, waitForNetConf } from '../agent/net-conf-wait.ts';
import type { OpenCloud } from '../cloud.ts';
import { jitter } from '../core/clock.ts';
import { errorMessage, FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import type { Readiness } from '../health/status.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { networksOf } from '../report/build-report.ts';
import { errorRow } from '../report/problem-rows.ts';
import { type Memory, notePosition } from '../routing/knowledge.ts';
import { version } from '../version.ts';
import { type LeadOptions, type LeadParts, lead } from './lead.ts';
import { ControllerState } from './state.ts';

export interface ControllerOptions extends LeadOptions {
  readonly election: ElectionOptions;
  /** False: this one writes without asking who else does. */
  readonly leaderElect: boolean;
  /** Takes the place of net-conf's `Backend.Type`. */
  readonly backendType: string | undefined;
}

export interface ControllerParts extends Omit<LeadParts, 'cloud' | 'netConf' | 'state' | 'assertNetConfStands'> {
  readonly election: (options: ElectionOptions) => LeaderElection;
  /** The cloud, whose writes ask `assertMayWrite` first. */
  readonly openCloud: (netConf: NetConf, assertMayWrite: () => void) => Promise<OpenCloud | undefined>;
  readonly readiness: Readiness;
  /** Told of the state to show, anew whenever net-conf changes. */
  readonly onState: (state: ControllerState) => void;
}

/** Milliseconds beyond the longest write for which a term must last: a leader must notice the loss before another one writes. */
const termMarginMs = 2_000;
/** Pause between two looks of a standby at who leads, milliseconds: for its status page only. */
const leaderLookMs = 10_000;

/**
 * Runs until the signal fires.
 *
 * @throws CONFIG_INVALID or STORE_DENIED for what waiting can't mend. An abort ends it with an AbortError.
 */
export async function runController(
  options: ControllerOptions,
  parts: ControllerParts,
  signal: AbortSignal,
): Promise<never> {
  // For as long as the process lives: who restores etcd from a backup stops it first, and that ends every leadership.
  const memory: Memory = { absences: new Map(), position: undefined };
  for (;;) {
    try {
      return await runWithNetConf(options, { ...parts, memory }, signal);
    } catch (error) {
      if (!(error instanceof NetConfChanged)) throw error;
      parts.logger.info('net-conf changed; starting over with the new one');
    }
  }
}

type RunParts = ControllerParts & { readonly memory: Memory };

async function runWithNetConf(options: ControllerOptions, parts: RunParts, signal: AbortSignal): Promise<never> {
  const { leases, readiness, logger } = parts;
  readiness.missing('net-conf', 'not read yet');
  const { netConf, revision } = await waitForNetConf(
    {
      ...parts,
      store: leases,
      waits: 'controller',
      backendType: options.backendType,
      onWaiting: (reason) => readiness.missing('net-conf', reason),
    },
    signal,
  );
  readiness.reached('net-conf');
  let leadership: Leadership | undefined;
  const cloud = await parts.openCloud(netConf, () => assertLeads(leadership));
  if (!cloud) throw noCloud(netConf.backend.type);
  if (netConf.backend.writer === 'node') {
    logger.warn('net-conf has "Writer": "node": every agent writes too', {
      hint: 'Set "Writer": "controller" in net-conf and restart the agents; then they need no credentials.',
    });
  }
  const { holder } = options.election;
  const { description } = leases;
  const state = new ControllerState({
    ...{ holder, dryRun: options.dryRun, now: () => parts.clock.now() },
    empty: {
      ...{ version, networks: networksOf(netConf), backendType: netConf.backend.type, writer: netConf.backend.writer },
      ...{ store: description, healthy: true, problems: [], nodes: [], tables: [], routes: [] },
    },
  });
  parts.onState(state);
  try {
    checkTerm(options, cloud);
    // A dry run writes nothing, the leader's key no more than routes: it must not keep another one from leading.
    const alone = !options.leaderElect || options.dryRun;
    const election = !alone ? parts.election(options.election) : soleLeader(options.election, parts);
    const leadParts: LeadParts = {
      ...{ ...parts, cloud, netConf, state },
      assertNetConfStands: (inner) => assertNetConfStands(leases, revision, inner),
    };
    for (;;) {
      state.standsBy(undefined);
      leadership = await campaign(election, options, state, parts, signal);
      await leadOnce(leadParts, options, readiness, leadership, signal);
      leadership = undefined;
    }
  } finally {
    await leadership?.resign();
    await cloud.provider.close();
  }
}

/** Leads until the leadership is lost; all else ends the controller. */
async function leadOnce(
  parts: LeadParts,
  options: ControllerOptions,
  readiness: Readiness,
  leadership: Leadership,
  signal: AbortSignal,
): Promise<void> {
  const { logger, state, events, clock } = parts;
  const { holder } = leadership;
  if (options.dryRun) logger.info('dry run: looks at everything and writes nothing', { holder });
  else logger.info('leading: this controller writes the routes', { holder });
  state.leads({ holder: leadership.holder, since: new Date(clock.now()).toISOString() });
  readiness.reached('leader');
  events.leading(true);
  try {
    await lead(parts, options, leadership, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!leadership.lost.aborted && !isFlannelVpcError(error, 'LEADERSHIP_LOST')) throw error;
    logger.warn('no longer leading; nothing more is written', { holder: leadership.holder });
    await leadership.resign();
  } finally {
    events.leading(false);
    state.standsBy(undefined);
    // What it saw while it led would be counted twice, beside the next leader's.
    events.reported(state.report());
  }
}

/** Waits to be elected, and meanwhile shows who is. A standby is as ready as it can be. */
async function campaign(
  election: LeaderElection,
  { resyncMs }: Pick<ControllerOptions, 'resyncMs'>,
  state: ControllerState,
  { logger, readiness, clock, random, leases, memory }: RunParts,
  signal: AbortSignal,
): Promise<Leadership> {
  const elected = new AbortController();
  const watching = AbortSignal.any([signal, elected.signal]);
  let told: string | undefined;
  async function look(): Promise<void> {
    try {
      const leader = await election.leader(watching);
      if (watching.aborted) return;
      state.standsBy(leader);
      if (!leader) return readiness.missing('leader', 'nobody leads');
      readiness.reached('leader');
      if (leader.holder !== told) logger.info('standing by', { leader: leader.holder, since: leader.since });
      told = leader.holder;
    } catch (error) {
      if (watching.aborted) return;
      // Whoever led may lead no longer. What the log says of it is the campaign's.
      readiness.missing('leader', errorMessage(error));
      if (isFlannelVpcError(error)) state.standsBy(undefined, errorRow('error', error));
    }
  }
  async function watch(): Promise<void> {
    for (;;) {
      await look();
      await clock.sleep(leaderLookMs, watching);
    }
  }
  /** Whoever leads next must know how far the store had come, or it would take a restored one for the truth. */
  async function remember(): Promise<void> {
    for (;;) {
      const list = await leases.list(watching).catch(() => undefined);
      if (watching.aborted) return;
      if (list) notePosition(memory, list);
      await clock.sleep(jitter(resyncMs, 0.1, random), watching);
    }
  }
  watch().catch(() => {});
  remember().catch(() => {});
  try {
    return await election.campaign(signal);
  } finally {
    elected.abort();
  }
}

function assertLeads(leadership: Leadership | undefined): void {
  if (!leadership) throw new FlannelVpcError('LEADERSHIP_LOST', 'this controller does not lead');
  leadership.assertHeld();
}

function checkTerm({ election, leaderElect, dryRun }: ControllerOptions, { provider }: OpenCloud): void {
  const { writeTimeoutMs } = provider.capabilities;
  if (!leaderElect || dryRun || election.termMs >= writeTimeoutMs + termMarginMs) return;
  throw new FlannelVpcError(
    'CONFIG_INVALID',
    `--leader-elect-lease-duration: ${election.termMs / 1_000}s is too short for ${provider.type}`,
    {
      hint: `A write to the cloud may take ${writeTimeoutMs / 1_000} s; give at least ${(writeTimeoutMs + termMarginMs) / 1_000}s.`,
    },
  );
}

function noCloud(type: string): FlannelVpcError {
  return new FlannelVpcError(
    'CONFIG_INVALID',
    `the backend ${type} has no route tables, so there is nothing to control`,
    {
      hint: 'Set Backend.Type in net-conf to a cloud, such as aws-vpc, or give --backend-type while the cluster moves to one.',
    },
  );
}

/** The election that is none: `--leader-elect=false`, for a cluster with one controller for certain. */
function soleLeader({ holder }: ElectionOptions, { clock }: Pick<ControllerParts, 'clock'>): LeaderElection {
  const info = { holder, since: new Date(clock.now()).toISOString() };
  return {
    leader: async () => info,
    campaign: async () => ({
      // Long ago: there is no leader before whose requests could still be on their way.
      ...{ holder, since: Number.NEGATIVE_INFINITY, token: '', lost: new AbortController().signal },
      assertHeld() {},
      async resign() {},
    }),
  };
}

/** What stands between a fresh controller and being ready. */
export const initialControllerReadiness = {
  'net-conf': 'not read yet',
  leader: 'no leader is known yet',
} as const;
