/** `leases`, `routes` and `status`: what is, with problems first. */
import type { LeaseKey } from '../../lease/lease.ts';
import type { NodeReport } from '../../lease/node-reports.ts';
import { type FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import { buildReport } from '../report/build-report.ts';
import type { ClusterReport, ProblemRow } from '../report/cluster-report.ts';
import { version } from '../version.ts';
import { electionOf } from './election.ts';
import { printListing } from './listing.ts';
import { readNetConf } from './net-conf-reading.ts';
import { backendTypeFlag, readsOnly, withCluster } from './observe.ts';
import { renderLeases } from './render-leases.ts';
import { renderRoutes } from './render-routes.ts';
import { renderStatus } from './render-status.ts';
import type { StoreSession } from './session.ts';
import { storeReport } from './store-report.ts';

/** 0 when healthy, 1 when not; so are the others. */
export async function listLeases(session: StoreSession): Promise<number> {
  const report = await reportOf(session);
  const { at, healthy, problems, nodes } = report;
  await printListing(session, { at, healthy, problems, leases: nodes }, () => renderLeases(report, session.console));
  return exitCode(report);
}

export async function listRoutes(session: StoreSession): Promise<number> {
  const report = await reportOf(session);
  const { at, healthy, problems, tables, routes } = report;
  await printListing(session, { at, healthy, problems, tables, routes }, () => renderRoutes(report, session.console));
  return exitCode(report);
}

export async function showStatus(session: StoreSession): Promise<number> {
  const report = await reportOf(session);
  const leader = await electionOf(session, 'status').leader(session.signal);
  const leaderless = report.writer === 'controller' && !leader;
  const status = {
    ...report,
    healthy: report.healthy && !leaderless,
    problems: leaderless ? [nobodyLeads, ...report.problems] : report.problems,
    leader,
  };
  await printListing(session, status, () => renderStatus(status, session.console));
  return exitCode(status);
}

const nobodyLeads: ProblemRow = {
  ...{ severity: 'error', code: 'leader', text: 'no controller leads, so no route is written or repaired' },
  hint: 'Start one: flannel-vpc controller.',
};

function exitCode({ healthy }: ClusterReport): number {
  return healthy ? 0 : 1;
}

/** Without the cloud, or a sound net-conf, what the store says. @throws what the store throws: then there is nothing to show. */
async function reportOf(session: StoreSession): Promise<ClusterReport> {
  let netConf: NetConf;
  try {
    netConf = await readNetConf(session, backendTypeFlag(session));
  } catch (error) {
    return await storeHalf(session, undefined, otherThanStore(error));
  }
  const { stores, signal } = session;
  const options = { allowMassDelete: false, beforeWrite: readsOnly };
  return await withCluster(session, netConf, options, async (cluster) => {
    if (!cluster) return await storeHalf(session, netConf, undefined);
    try {
      const look = await cluster.observer.look({ resync: false }, signal);
      return buildReport({ look, netConf, version, store: stores.leases.description });
    } catch (error) {
      return await storeHalf(session, netConf, otherThanStore(error));
    }
  });
}

async function storeHalf(
  { stores, clock, signal }: StoreSession,
  netConf: NetConf | undefined,
  problem: FlannelVpcError | undefined,
): Promise<ClusterReport> {
  const [{ leases }, reports] = await Promise.all([
    stores.leases.list(signal),
    stores.reports.list(signal).catch((error: unknown): ReadonlyMap<LeaseKey, NodeReport> => {
      otherThanStore(error, 'STORE_DENIED');
      return new Map();
    }),
  ]);
  return storeReport({ at: clock.now(), version, store: stores.leases.description, netConf, leases, reports, problem });
}

/** An error of ours that a report can show; the store's own leave nothing to show, but for one that may be missing. */
function otherThanStore(error: unknown, tolerated?: 'STORE_DENIED'): FlannelVpcError {
  if (!isFlannelVpcError(error)) throw error;
  if (error.code.startsWith('STORE_') && error.code !== tolerated) throw error;
  return error;
}
