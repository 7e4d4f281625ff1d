/**
 * The election by a Lease object, as Kubernetes' own controllers hold theirs (client-go's leaderelection): its holder renews it, and
 * another one takes it when it has not changed for a term *by its own clock*, so that clocks need not agree.
 */
import * as z from 'zod';
import { backoffMs, jitter } from '../../src/core/clock.ts';
import { isFlannelVpcError } from '../../src/core/errors.ts';
import type { ElectionOptions, LeaderElection, LeaderInfo, Leadership } from '../election.ts';
import { keepLeadership, type Moment, momentOf } from '../leadership.ts';
import { createOutageReport } from '../outage.ts';
import type { KubernetesParts } from './parts.ts';

export interface LeaseObjectPlace {
  readonly namespace: string;
  readonly name: string;
}

const leaseSchema = z.object({
  metadata: z.object({ name: z.string(), resourceVersion: z.string(), uid: z.string().default('') }),
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

  async function read(signal: AbortSignal): Promise<LeaseObject | undefined> {
    const request = {
      method: 'GET',
      path,
      schema: leaseSchema,
      doing: `read who leads (Lease ${place.namespace}/${place.name})`,
    } as const;
    return await client.call(request, signal).catch((error: unknown) => {
      if (isFlannelVpcError(error, 'NOT_FOUND')) return undefined;
      throw error;
    });
  }

  /** Puts our name where nobody, or the given state, stands. Undefined when somebody was faster. */
  async function take(standing: LeaseObject | undefined, signal: AbortSignal): Promise<LeaseObject | undefined> {
    const now = microTime(clock.now());
    const transitions = standing?.spec.leaseTransitions ?? 0;
    const spec = {
      ...{ holderIdentity: options.holder, leaseDurationSeconds: termSeconds, acquireTime: now, renewTime: now },
      leaseTransitions: standing ? transitions + 1 : transitions,
    };
    const metadata = standing
      ? { name: place.name, namespace: place.namespace, resourceVersion: standing.metadata.resourceVersion }
      : { name: place.name, namespace: place.namespace };
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    try {
      return await client.call(
        standing
          ? { method: 'PUT', path, body, schema: leaseSchema, doing: 'take the lead' }
          : { method: 'POST', path: folder, body, schema: leaseSchema, doing: 'take the lead' },
        signal,
      );
    } catch (error) {
      if (isFlannelVpcError(error, 'CONFLICT')) return undefined;
      throw error;
    }
  }

  async function campaign(signal: AbortSignal): Promise<Leadership> {
    const report = createOutageReport({ logger, clock, what: 'campaign to lead' });
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
        const free = !standing?.spec.holderIdentity || clock.monotonic() - seen.at >= termMs;
        if (free) {
          const aliveAt = momentOf(clock);
          const ours = await take(standing, signal);
          if (ours) return lead(ours, aliveAt);
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
    const token = `${won.metadata.uid}/${won.spec.leaseTransitions ?? 0}`;
    const isOurs = ({ spec }: LeaseObject): boolean =>
      spec.holderIdentity === options.holder && spec.leaseTransitions === won.spec.leaseTransitions;

    async function renew(holderIdentity: string, signal: AbortSignal): Promise<boolean> {
      const body = {
        ...{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
        metadata: { name: place.name, namespace: place.namespace, resourceVersion: version },
        spec: { ...won.spec, holderIdentity, renewTime: microTime(clock.now()) },
      };
      try {
        version = (
          await client.call({ method: 'PUT', path, body, schema: leaseSchema, doing: 'keep the lead' }, signal)
        ).metadata.resourceVersion;
        return true;
      } catch (error) {
        if (!isFlannelVpcError(error, 'CONFLICT') && !isFlannelVpcError(error, 'NOT_FOUND')) throw error;
        // An answer that was lost leaves our own renewal behind, under another version.
        const standing = await read(signal);
        if (!standing || !isOurs(standing)) return false;
        version = standing.metadata.resourceVersion;
        return true;
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

/** Kubernetes' MicroTime. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
