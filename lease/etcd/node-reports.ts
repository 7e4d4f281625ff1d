/** What nodes say of themselves, at `<prefix>/flannel-vpc/nodes/10.5.42.0-24`, each on the etcd lease of the node's lease. */

import type { IKeyValue } from 'etcd3';
import * as z from 'zod';
import { backoffMs } from '../../src/core/clock.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { parseJson } from '../../src/core/json.ts';
import { leaseLost } from '../failures.ts';
import { kinship } from '../identity.ts';
import type { LeaseKey } from '../lease.ts';
import { leaseKey } from '../lease-key.ts';
import type { OwnedLease } from '../lease-store.ts';
import type { NodeReport, NodeReportStore } from '../node-reports.ts';
import { isLeaseGone } from './errors.ts';
import { parseSubnetKey, reportKeyOf } from './keys.ts';
import { ifAbsent, ifUnchanged, oneKey, prefixRange, putOp, readOp } from './operations.ts';
import type { EtcdParts } from './parts.ts';
import { isReportOf, readStanding } from './standing.ts';

/** How often lease or report may change under our hands within one call. */
const maxTries = 8;
/** Longest reason that is stored, characters: thousands of them are read at once. */
const maxReason = 1_000;

const reportSchema = z.object({
  ready: z.boolean(),
  reason: z.string().max(maxReason),
  since: z.string().max(64),
});

/** The report store over a connection that is there. */
export function createEtcdNodeReports(parts: EtcdParts): NodeReportStore {
  const { client, keys, clock, random, reader } = parts;

  /** True when the report stands. False when something moved meanwhile: look again. */
  async function publishOnce(lease: OwnedLease, report: NodeReport, signal: AbortSignal): Promise<boolean> {
    const standing = await readStanding(parts, lease.subnets, signal);
    if (!standing.lease) {
      throw new FlannelVpcError('CONFLICT', `nothing is reported of ${leaseKey(lease.subnets)}: no lease stands there`);
    }
    const { entry, madeAt } = standing.lease;
    if (!entry.lease || kinship(lease.attributes, entry.lease.attributes) !== 'ours')
      throw leaseLost(lease.subnets, entry);
    const key = reportKeyOf(keys, lease.subnets);
    const former = standing.report;
    if (former?.lease === entry.etcdLease && isReportOf(former, madeAt) && sameReport(former, report)) return true;
    try {
      const answer = await client.txn(
        {
          compare: [
            ifUnchanged(entry.key, entry.modRevision),
            former ? ifUnchanged(key, former.mod_revision) : ifAbsent(oneKey(key)),
          ],
          success: [putOp(key, JSON.stringify(report), entry.etcdLease)],
          failure: [],
        },
        'report on this node',
        signal,
      );
      return answer.succeeded;
    } catch (error) {
      if (isLeaseGone(error)) return false;
      throw error;
    }
  }

  return {
    async publish(lease, report, signal) {
      const stored = { ...report, reason: report.reason.slice(0, maxReason) };
      for (let tries = 0; tries < maxTries; tries++) {
        if (tries > 0) await clock.sleep(backoffMs(tries - 1, 20, 1_000, random), signal);
        if (await publishOnce(lease, stored, signal)) return;
      }
      throw new FlannelVpcError('CONFLICT', `our lease ${leaseKey(lease.subnets)} changes all the time`);
    },
    async list(signal) {
      // Of the leases only the names: a report that outlives its lease (deleted by hand, made again by another node) is none.
      const success = [readOp(prefixRange(keys.nodes)), readOp({ ...prefixRange(keys.subnets), keys_only: true })];
      const answer = await client.txn({ compare: [], success, failure: [] }, 'list what nodes report', signal);
      const [reports = [], leases = []] = answer.responses.map((response) => response.response_range.kvs);
      const madeAt = new Map(leases.map((kv) => [nameBelow(keys.subnets, kv), kv.create_revision]));
      const found = new Map<LeaseKey, NodeReport>();
      for (const kv of reports) {
        const leaseMadeAt = madeAt.get(nameBelow(keys.nodes, kv));
        if (leaseMadeAt === undefined || !isReportOf(kv, leaseMadeAt)) continue;
        const subnets = parseSubnetKey(kv.key.toString());
        const report = readReport(kv);
        if (subnets && report) found.set(leaseKey(subnets), report);
        else reader.logOnce(kv, 'it is no report of a node');
      }
      return found;
    },
  };
}

function nameBelow(folder: string, kv: IKeyValue): string {
  return kv.key.toString().slice(folder.length);
}

/** Undefined for what is no report. */
export function readReport(kv: IKeyValue): NodeReport | undefined {
  try {
    return reportSchema.parse(parseJson(kv.value.toString()));
  } catch {
    return undefined;
  }
}

function sameReport(kv: IKeyValue, report: NodeReport): boolean {
  const stored = readReport(kv);
  return stored?.ready === report.ready && stored.reason === report.reason;
}
