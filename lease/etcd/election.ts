/**
 * The election on etcd: who makes the key `<prefix>/flannel-vpc/leader` leads, for as long as it stands. It is on an etcd lease of its
 * own, so that it goes when its leader is not heard of for a term; the revision it was made at tells this leadership from all others.
 */
import type { IKeyValue } from 'etcd3';
import { backoffMs, jitter } from '../../src/core/clock.ts';
import type { ElectionOptions, LeaderInfo, Leadership } from '../election.ts';
import { givingUp, keepLeadership, type Moment, momentOf } from '../leadership.ts';
import { createOutageReport } from '../outage.ts';
import { isLeaseGone } from './errors.ts';
import { followRange } from './follow.ts';
import { encodeLeader, readLeader } from './leader-record.ts';
import { deleteOp, ifAbsent, ifMadeAt, oneKey, putOp, readOp } from './operations.ts';
import type { EtcdParts } from './parts.ts';

/** Pause after a failure, before jitter, milliseconds. */
const failedBaseMs = 200;
const failedMaxMs = 5_000;

/** An etcd lease of ours for the key. */
interface Grant {
  readonly etcdLease: string;
  /** Just before it was asked for, or kept alive. */
  readonly aliveAt: Moment;
}

type Attempt =
  | { readonly kind: 'won'; readonly grant: Grant; readonly token: string }
  /** Somebody else leads, as read at that revision of the store. */
  | { readonly kind: 'taken'; readonly by: IKeyValue; readonly revision: string }
  /** Something moved meanwhile, or our etcd lease had ended: look again. */
  | { readonly kind: 'again' };

interface Candidate {
  attempt(signal: AbortSignal): Promise<Attempt>;
  /**
   * Ends its etcd lease, and with it a key that a transaction made, or still makes, whose answer nobody waits for any more. Else nobody
   * would lead for a term. Never throws.
   */
  withdraw(): Promise<void>;
}

/** Who leads now. */
export async function leaderOf({ client, keys }: EtcdParts, signal: AbortSignal): Promise<LeaderInfo | undefined> {
  const answer = await client.range(oneKey(keys.leader), 'read who leads', signal);
  const kv = answer.kvs[0];
  return kv && readLeader(kv);
}

/** See `LeaderElection.campaign`. */
export async function campaign(
  parts: EtcdParts,
  options: ElectionOptions,
  callerSignal: AbortSignal,
): Promise<Leadership> {
  const { client, clock, random, logger } = parts;
  const signal = AbortSignal.any([callerSignal, client.closed]);
  const report = createOutageReport({ logger, clock, what: 'campaign to lead', onOutage: options.onOutage });
  const candidate = createCandidate(parts, options);
  try {
    for (let failures = 0; ; ) {
      try {
        const attempt = await candidate.attempt(signal);
        report.recovered();
        failures = 0;
        if (attempt.kind === 'taken') await untilFree(parts, options, attempt, signal);
        if (attempt.kind !== 'won') continue;
        const leadership = lead(parts, options, attempt);
        if (!leadership.lost.aborted) return leadership;
        // It took so long to win that it was over by then.
        await leadership.resign();
      } catch (error) {
        signal.throwIfAborted();
        failures += 1;
        report.failed(error);
        await clock.sleep(backoffMs(failures - 1, failedBaseMs, failedMaxMs, random), signal);
      }
    }
  } catch (error) {
    await candidate.withdraw();
    throw error;
  }
}

function ttlSecondsOf({ termMs }: ElectionOptions): number {
  return Math.max(1, Math.ceil(termMs / 1_000));
}

/** Remembers its etcd lease from one attempt to the next: an answer that was lost may have made it the leader. */
function createCandidate(parts: EtcdParts, options: ElectionOptions): Candidate {
  const { client, keys, clock } = parts;
  let spare: Grant | undefined;

  async function freshGrant(signal: AbortSignal): Promise<Grant> {
    const aliveAt = momentOf(clock);
    return { etcdLease: await client.grant(ttlSecondsOf(options), signal), aliveAt };
  }

  /** Kept alive, so that its time counts from now. Undefined when it has ended. */
  async function renewed({ etcdLease }: Grant, signal: AbortSignal): Promise<Grant | undefined> {
    const aliveAt = momentOf(clock);
    return (await client.keepAlive(etcdLease, signal)) === undefined ? undefined : { etcdLease, aliveAt };
  }

  return {
    async attempt(signal) {
      const look = await client.range(oneKey(keys.leader), 'read who leads', signal);
      const standing = look.kvs[0];
      if (standing && standing.lease !== spare?.etcdLease) {
        return { kind: 'taken', by: standing, revision: look.header.revision };
      }
      const grant = spare ? await renewed(spare, signal) : await freshGrant(signal);
      spare = grant;
      if (!grant) return { kind: 'again' };
      if (standing) return { kind: 'won', grant, token: standing.create_revision };
      const value = encodeLeader({ holder: options.holder, since: new Date(clock.now()).toISOString() });
      try {
        const answer = await client.txn(
          {
            compare: [ifAbsent(oneKey(keys.leader))],
            success: [putOp(keys.leader, value, grant.etcdLease)],
            failure: [readOp(oneKey(keys.leader))],
          },
          'stand for election',
          signal,
        );
        if (answer.succeeded) return { kind: 'won', grant, token: answer.header.revision };
        const winner = answer.responses[0]?.response_range.kvs[0];
        if (!winner) return { kind: 'again' };
        // Ours, where the transaction was sent twice.
        if (winner.lease === grant.etcdLease) return { kind: 'won', grant, token: winner.create_revision };
        return { kind: 'taken', by: winner, revision: answer.header.revision };
      } catch (error) {
        if (!isLeaseGone(error)) throw error;
        spare = undefined;
        return { kind: 'again' };
      }
    },
    async withdraw() {
      if (!spare) return;
      const { etcdLease } = spare;
      await givingUp(clock, (signal) => client.revoke(etcdLease, signal));
    },
  };
}

function lead(
  parts: EtcdParts,
  options: ElectionOptions,
  { grant, token }: Extract<Attempt, { kind: 'won' }>,
): Leadership {
  const { client, keys, clock } = parts;
  return keepLeadership({
    ...{ options, clock, token, aliveAt: grant.aliveAt, termMs: ttlSecondsOf(options) * 1_000 },
    keepAlive: async (signal) => (await client.keepAlive(grant.etcdLease, signal)) !== undefined,
    async watch(lose, signal) {
      const what = "watch of the leader's key";
      const range = oneKey(keys.leader);
      for await (const step of followRange({ ...parts, what, range, afterRevision: token }, signal)) {
        const seen =
          step.kind === 'state'
            ? [step.state.kvs[0]]
            : step.events.map((event) => (event.type === 'Delete' ? undefined : event.kv));
        for (const kv of seen) {
          if (!kv) lose('its key in etcd is gone');
          else if (kv.create_revision !== token) lose(`${readLeader(kv).holder} leads now`);
          // Put over by hand it would not end with us any more.
          else if (kv.lease !== grant.etcdLease) lose('its key in etcd was written over');
        }
      }
    },
    async giveUp(signal) {
      await client.txn(
        { compare: [ifMadeAt(keys.leader, token)], success: [deleteOp(keys.leader)], failure: [] },
        'give up the lead',
        signal,
      );
      await client.revoke(grant.etcdLease, signal);
    },
  });
}

/**
 * Waits until the key is gone. The watch tells at once; a look now and then is for a watch that has died without a word. Throws only
 * when the signal fires.
 */
async function untilFree(
  parts: EtcdParts,
  options: ElectionOptions,
  { by, revision }: Extract<Attempt, { kind: 'taken' }>,
  callerSignal: AbortSignal,
): Promise<void> {
  const { client, keys, clock, random, logger } = parts;
  const { holder, since } = readLeader(by);
  logger.debug('waiting for the lead', { leader: holder, since });
  if (by.lease === '0') {
    logger.warn('the leader’s key has no etcd lease: it was written by hand and never ends', {
      hint: `Delete ${keys.leader}.`,
    });
  }
  const done = new AbortController();
  const signal = AbortSignal.any([callerSignal, done.signal]);

  async function watching(): Promise<void> {
    const what = "watch of the leader's key";
    const range = oneKey(keys.leader);
    for await (const step of followRange({ ...parts, what, range, afterRevision: revision }, signal)) {
      const last = step.kind === 'events' ? step.events.at(-1) : undefined;
      if (step.kind === 'state' ? step.state.kvs.length === 0 : last?.type === 'Delete') return;
    }
  }

  async function looking(): Promise<void> {
    for (;;) {
      await clock.sleep(jitter(options.retryMs, 0.3, random), signal);
      try {
        const answer = await client.range(oneKey(keys.leader), 'read who leads', signal);
        if (answer.kvs.length === 0) return;
      } catch {
        // The watch says what there is to say of an outage.
        signal.throwIfAborted();
      }
    }
  }

  const waits = [watching(), looking()];
  try {
    await Promise.race(waits);
  } finally {
    done.abort();
    await Promise.allSettled(waits);
  }
}
