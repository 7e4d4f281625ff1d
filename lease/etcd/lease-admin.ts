/** What operators and the controller do to leases and net-conf in etcd: each in one transaction, only to what was read before. */
import { backoffMs } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { Cidr, PerFamily } from '../../src/core/ip.ts';
import { netConfNotAsRead, nothingToReserve, reservedByOther, reserveOverlaps } from '../failures.ts';
import { kinship } from '../identity.ts';
import type { Lease, LeaseAttributes } from '../lease.ts';
import type { LeaseAdmin } from '../lease-admin.ts';
import { leaseKey, subnetsOverlap } from '../lease-key.ts';
import { listEntries } from './acquire.ts';
import { claimSubnets } from './claim.ts';
import { leaseKeyOf, reportKeyOf } from './keys.ts';
import { ifAbsent, ifUnchanged, oneKey, putOp, readOp } from './operations.ts';
import type { EtcdParts } from './parts.ts';
import { endLeaseOps, readStanding } from './standing.ts';
import { encodeLeaseValue } from './value.ts';

/** How often a lease may change under our hands within one call. */
const maxTries = 8;

/** The administration over a connection that is there. */
export function createEtcdLeaseAdmin(parts: EtcdParts): LeaseAdmin {
  const { client, keys, clock, random } = parts;
  return {
    async end(lease, signal) {
      const answer = await client.txn(
        {
          compare: [ifUnchanged(leaseKeyOf(keys, lease.subnets), lease.revision)],
          success: [...endLeaseOps(keys, lease.subnets)],
          failure: [],
        },
        `end the lease of ${leaseKey(lease.subnets)}`,
        signal,
      );
      return answer.succeeded;
    },
    async reserve(subnets, attributes, signal) {
      for (let tries = 0; tries < maxTries; tries++) {
        if (tries > 0) await clock.sleep(backoffMs(tries - 1, 20, 1_000, random), signal);
        const reserved =
          (await pinStanding(parts, subnets, attributes, signal)) ??
          (await reserveFree(parts, subnets, attributes, signal));
        if (reserved) return reserved;
      }
      throw new FlannelVpcError('CONFLICT', `the lease of ${leaseKey(subnets)} changes all the time`);
    },
    async writeNetConf(text, expectedRevision, signal) {
      const answer = await client.txn(
        {
          compare: [
            expectedRevision === undefined ? ifAbsent(oneKey(keys.config)) : ifUnchanged(keys.config, expectedRevision),
          ],
          success: [putOp(keys.config, text, '0')],
          failure: [readOp(oneKey(keys.config))],
        },
        'write net-conf',
        signal,
      );
      if (answer.succeeded) return answer.header.revision;
      const standing = answer.responses[0]?.response_range.kvs[0];
      // Ours, sent twice, or the same by somebody else.
      if (standing?.value.toString() === text) return standing.mod_revision;
      throw netConfNotAsRead();
    },
  };
}

/** Takes the TTL from the lease that stands there. Undefined when none does, or when it changed meanwhile. */
async function pinStanding(
  parts: EtcdParts,
  subnets: PerFamily<Cidr>,
  attributes: LeaseAttributes | undefined,
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const { lease: standing, report } = await readStanding(parts, subnets, signal);
  if (!standing) return undefined;
  const { key, value, modRevision, etcdLease, lease } = standing.entry;
  if (!lease || (attributes && kinship(attributes, lease.attributes) !== 'ours')) throw reservedByOther(subnets, lease);
  if (etcdLease === '0') return lease;
  const reportKey = reportKeyOf(parts.keys, subnets);
  const answer = await parts.client.txn(
    {
      compare: [
        ifUnchanged(key, modRevision),
        report ? ifUnchanged(reportKey, report.mod_revision) : ifAbsent(oneKey(reportKey)),
      ],
      // On the etcd lease that nobody keeps alive now the report would end in a day.
      success: [putOp(key, value, '0'), ...(report ? [putOp(reportKey, report.value.toString(), '0')] : [])],
      failure: [],
    },
    `reserve ${leaseKey(subnets)}`,
    signal,
  );
  return answer.succeeded ? { ...lease, reserved: true, revision: answer.header.revision } : undefined;
}

/** Makes a lease without an end. Undefined when something appeared meanwhile: look again. */
async function reserveFree(
  parts: EtcdParts,
  subnets: PerFamily<Cidr>,
  attributes: LeaseAttributes | undefined,
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const list = await listEntries(parts, signal);
  const key = leaseKeyOf(parts.keys, subnets);
  if (list.entries.some((entry) => entry.key === key)) return undefined;
  const other = list.entries.find((entry) => subnetsOverlap(entry.subnets, subnets));
  if (other) throw reserveOverlaps(subnets, other);
  if (!attributes) throw nothingToReserve(subnets);
  const outcome = await claimSubnets(
    parts,
    { candidates: [{ subnets }], value: encodeLeaseValue(attributes), etcdLease: '0', list, removes: [] },
    signal,
  );
  if (outcome.kind === 'lost') return undefined;
  return { subnets, attributes, reserved: true, revision: outcome.revision };
}
