/**
 * The election by a Lease object, as Kubernetes' own controllers hold theirs (client-go's leaderelection): its holder renews it, and
 * another one takes it when it has not changed for a term *by its own clock*, so that clocks need not agree.
 */
import * as z from 'zod';
import { backoffMs, jitter } from '../../src/core/clock.ts';
import { isFlannelVpcError } from '../../src/core/errors.ts';
import type { ElectionOptions, LeaderElection, LeaderInfo, Leadership } from '../election.ts';
import { keepLeadership, type Moment, momentOf, standForElection } from '../leadership.ts';
import { microTime } from '../micro-time.ts';
import { createOutageReport } from '../outage.ts';
import type { KubernetesParts } from './parts.ts';

export interface LeaseObjectPlace {
  readonly namespace: string;
  readonly name: string;
}

export const leaseSchema = z.object({
  metadata: z.object({ name: z.string(), resourceVersion: z.string(), uid: z.string() }),
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
    })
    .default({}),
});
type LeaseObject = z.output<typeof leaseSchema>;

/** Leaderships of this process that stand, by their token: what writes ask before they are sent. */
export type HeldLeaderships = Map<string, Leadership>;

/** Pause after a failure, before jitter, milliseconds. */
const failedBaseMs = 500;
const failedMaxMs = 10_000;

export function createKubernetesElection(
  parts: KubernetesParts,
  place: LeaseObjectPlace,
  held: HeldLeaderships,
  options: ElectionOptions,
): LeaderElection {
  const { client, clock, random, logger } = parts;
  const folder = `/apis/coordination.k8s.io/v1/namespaces/${place.namespace}/leases`;
  const path = `${folder}/${place.name}`;
  const termSeconds = Math.max(1, Math.ceil(options.termMs / 1_000));

  const read = (signal: AbortSignal): Promise<LeaseObject | undefined> => readLease(parts, place, signal);

  /** With its uid, since the server makes a Lease that is gone anew for who puts one, whatever version that names. */
  function metadataFor(standing: LeaseObject | undefined, resourceVersion: string | undefined): object {
    const { name, namespace } = place;
    return standing ? { name, namespace, uid: standing.metadata.uid, resourceVersion } : { name, namespace };
  }

  /** Puts our name where nobody, or the given state, stands. Undefined when somebody was faster. */
  async function take(standing: LeaseObject | undefined, signal: AbortSignal): Promise<LeaseObject | undefined> {
    const now = microTime(clock.now(), random);
    const transitions = standing?.spec.leaseTransitions ?? 0;
    const spec = {
      ...{ holderIdentity: options.holder, leaseDurationSeconds: termSeconds, acquireTime: now, renewTime: now },
      leaseTransitions: standing ? transitions + 1 : transitions,
    };
    const metadata = metadataFor(standing, standing?.metadata.resourceVersion);
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    try {
      return await client.call(
        standing
          ? { method: 'PUT', path, body, schema: leaseSchema, doing: 'take the lead' }
          : { method: 'POST', path: folder, body, schema: leaseSchema, doing: 'take the lead' },
        signal,
      );
    } catch (error) {
      if (!isFlannelVpcError(error, 'CONFLICT')) throw error;
    }
    // Where the answer was lost, what stands in our way is our own.
    const found = await read(signal);
    return found && isLeftOver(found) && found.spec.acquireTime === now ? found : undefined;
  }

  /** True for our own name, under which nobody leads: taken by a request whose answer was lost, or left by a leadership that could not be given up. */
  function isLeftOver(standing: LeaseObject): boolean {
    return standing.spec.holderIdentity === options.holder && !held.has(tokenOf(standing));
  }

  async function campaign(signal: AbortSignal): Promise<Leadership> {
    const report = createOutageReport({ logger, clock, what: 'campaign to lead', onOutage: options.onOutage });
    let seen: { readonly version: string; readonly at: number } | undefined;
    for (let failures = 0; ; ) {
      signal.throwIfAborted();
      try {
        const standing = await read(signal);
        report.recovered();
        failures = 0;
        const version = standing?.metadata.resourceVersion ?? '';
        if (seen?.version !== version) seen = { version, at: clock.monotonic() };
        const termMs = (standing?.spec.leaseDurationSeconds ?? termSeconds) * 1_000;
        const free = !standing?.spec.holderIdentity || isLeftOver(standing) || clock.monotonic() - seen.at >= termMs;
        if (free) {
          const aliveAt = momentOf(clock);
          const ours = await standForElection(clock, signal, (inner) => take(standing, inner));
          const leadership = ours && lead(ours, aliveAt);
          if (leadership && !signal.aborted) return leadership;
          await leadership?.resign();
          signal.throwIfAborted();
        }
        await clock.sleep(jitter(options.retryMs, 0.2, random), signal);
      } catch (error) {
        signal.throwIfAborted();
        failures += 1;
        report.failed(error);
        await clock.sleep(backoffMs(failures - 1, failedBaseMs, failedMaxMs, random), signal);
      }
    }
  }

  function lead(won: LeaseObject, aliveAt: Moment): Leadership {
    let version = won.metadata.resourceVersion;
    const token = tokenOf(won);

    async function renew(holderIdentity: string, signal: AbortSignal): Promise<boolean> {
      for (;;) {
        const body = {
          ...{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
          metadata: metadataFor(won, version),
          spec: { ...won.spec, holderIdentity, renewTime: microTime(clock.now(), random) },
        };
        try {
          const request = { method: 'PUT', path, body, schema: leaseSchema, doing: 'keep the lead' } as const;
          version = (await client.call(request, signal)).metadata.resourceVersion;
          return true;
        } catch (error) {
          if (!isFlannelVpcError(error, 'CONFLICT') && !isFlannelVpcError(error, 'NOT_FOUND')) throw error;
        }
        // An answer that was lost leaves our own renewal behind, under another version; and from that one others count the term, not from
        // now: only a renewal of this call will do.
        const standing = await read(signal);
        if (!standing || tokenOf(standing) !== token || standing.spec.holderIdentity !== options.holder) return false;
        version = standing.metadata.resourceVersion;
      }
    }

    const leadership = keepLeadership({
      ...{ options, clock, token, aliveAt, termMs: termSeconds * 1_000 },
      keepAlive: (signal) => renew(options.holder, signal),
      // The renewals show whether it is still ours, each by its own condition.
      watch: async () => {},
      async giveUp(signal) {
        await renew('', signal);
      },
    });
    held.set(token, leadership);
    leadership.lost.addEventListener('abort', () => held.delete(token), { once: true });
    return leadership;
  }

  return {
    campaign: (signal) => campaign(AbortSignal.any([signal, client.closed])),
    async leader(signal): Promise<LeaderInfo | undefined> {
      const standing = await read(signal);
      const holder = standing?.spec.holderIdentity;
      return holder ? { holder: holder.slice(0, 256), since: standing?.spec.acquireTime ?? '' } : undefined;
    },
  };
}

async function readLease(
  { client }: Pick<KubernetesParts, 'client'>,
  { namespace, name }: LeaseObjectPlace,
  signal: AbortSignal,
): Promise<LeaseObject | undefined> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
  const request = {
    method: 'GET',
    path,
    schema: leaseSchema,
    doing: `read who leads (Lease ${namespace}/${name})`,
  } as const;
  return await client.call(request, signal).catch((error: unknown) => {
    if (isFlannelVpcError(error, 'NOT_FOUND')) return undefined;
    throw error;
  });
}

/** The token of who leads now (`Leadership.token`); undefined when nobody does. */
export async function leadingToken(
  parts: Pick<KubernetesParts, 'client'>,
  place: LeaseObjectPlace,
  signal: AbortSignal,
): Promise<string | undefined> {
  const standing = await readLease(parts, place, signal);
  return standing?.spec.holderIdentity ? tokenOf(standing) : undefined;
}

/** Each change of the holder counts one on, and a Lease that is made anew has another uid. */
function tokenOf({ metadata, spec }: LeaseObject): string {
  return `${metadata.uid}/${spec.leaseTransitions ?? 0}`;
}
