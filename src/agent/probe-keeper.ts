/** This node's part in the probes: it answers those of others from the start, and sends its own once its routes should stand. */
import type { LeaseStore, OwnedLease } from '../../lease/lease-store.ts';
import type { NodeReportStore } from '../../lease/node-reports.ts';
import { backoffMs, type Clock, type Random } from '../core/clock.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { families, formatIp, type Ip, type PerFamily } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import { probeAddress } from '../core/probe-address.ts';
import { untilDone } from '../core/until.ts';
import { createWaker } from '../core/waker.ts';
import type { Readiness } from '../health/status.ts';
import type { AgentMetrics } from '../metrics.ts';
import type { Looks } from '../probe/looks.ts';
import { groupId, networkId } from '../probe/message.ts';
import { groupNameOf, type Self } from '../probe/peers.ts';
import { keepProbing } from '../probe/prober.ts';
import type { OpenProbeSocket, ProbeSocket } from '../probe/socket.ts';
import { isReady, type Verdict } from '../probe/verdict.ts';
import { createRepeatGate } from '../repeats.ts';
import type { RouteNetworks } from '../routing/networks.ts';
import type { NodeContext } from './node-context.ts';
import { untilItWorks } from './until-it-works.ts';

export interface ProbeKeeperOptions {
  readonly leases: Pick<LeaseStore, 'neighbours'>;
  readonly reports: Pick<NodeReportStore, 'list'>;
  readonly openSocket: OpenProbeSocket;
  readonly looks: Looks;
  readonly self: Self;
  /** Whom this node sends by one route table with. */
  readonly groupName: string;
  readonly networks: RouteNetworks;
  readonly port: number;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly readiness: Readiness;
  readonly metrics: AgentMetrics | undefined;
  /** Resolves when this node's routes should stand. */
  readonly routesStand: Promise<unknown>;
  /** Called when probes count as ready for the first time. */
  readonly onReady: () => void;
}

export const probePart = 'probe';

const openRetryMs = { base: 500, max: 30_000 };
/** Askers remembered between two rounds. */
const maxHeard = 64;

/** Answers and probes until the signal fires. */
export async function keepProbe(options: ProbeKeeperOptions, signal: AbortSignal): Promise<never> {
  const { readiness, clock, random } = options;
  const requests = createWaker();
  const heard = new Map<string, Ip>();
  const onRequest = (from: Ip): void => {
    if (heard.size < maxHeard) heard.set(formatIp(from), from);
    requests.wake();
  };
  const sockets = await untilItWorks(
    {
      ...options,
      failing: 'cannot answer probes of other nodes',
      recovered: 'probes of other nodes are answered now',
      onWaiting: (reason) => readiness.missing(probePart, reason),
      pauseMs: (_, attempt) => backoffMs(attempt, openRetryMs.base, openRetryMs.max, random),
    },
    () => openAll(options, onRequest),
    signal,
  );
  try {
    await untilDone(options.routesStand, signal);
    return await keepProbing(
      {
        ...options,
        sockets,
        requests,
        clock,
        takeHeard() {
          const taken = [...heard.values()];
          heard.clear();
          return taken;
        },
        onVerdict: tell(options),
        onRound({ answered, roundTripMs }) {
          options.metrics?.probeRounds.inc({ result: answered ? 'answered' : 'failed' });
          if (roundTripMs !== undefined) options.metrics?.probeRoundTrip.set(roundTripMs / 1_000);
        },
      },
      signal,
    );
  } finally {
    for (const socket of Object.values(sockets)) socket.close();
  }
}

/** How this node probes others; undefined without a cloud, and where it is switched off. */
export function probeOf(
  { options, parts, netConf, machine }: NodeContext,
  { subnets }: OwnedLease,
  routesStand: Promise<void>,
  onReady: () => void,
): ProbeKeeperOptions | undefined {
  if (!machine || !options.host.probed) return undefined;
  const { identity, nic } = machine;
  return {
    ...{ ...parts, ...parts.probe, ...options.probe, networks: netConf.ranges, routesStand, onReady },
    self: { subnets, instanceId: identity.instanceId },
    groupName: groupNameOf({ subnetId: nic?.subnetId, zone: identity.zone }),
  };
}

async function openAll(options: ProbeKeeperOptions, onRequest: (from: Ip) => void): Promise<PerFamily<ProbeSocket>> {
  const opened: { 4?: ProbeSocket; 6?: ProbeSocket } = {};
  try {
    for (const family of families) {
      const subnet = options.self.subnets[family];
      const range = options.networks[family];
      if (!subnet || !range) continue;
      opened[family] = await options.openSocket({
        address: probeAddress(subnet),
        port: options.port,
        network: networkId(range.network),
        group: groupId(options.groupName),
        clock: options.clock,
        onRequest,
      });
    }
    return opened;
  } catch (error) {
    for (const socket of Object.values(opened)) socket.close();
    throw error;
  }
}

/** What a verdict means for readiness, metrics and the log. */
function tell({ readiness, metrics, logger, onReady, ...options }: ProbeKeeperOptions): (verdict: Verdict) => void {
  const gate = createRepeatGate({ logger, clock: options.clock });
  let said: Verdict['state'] | undefined;
  return (verdict) => {
    const { state, reason } = verdict;
    const isNews = state !== said;
    said = state;
    metrics?.probeReachable.set(state === 'proven' || state === 'alone' ? 1 : 0);
    if (!isReady(verdict)) {
      readiness.missing(probePart, reason);
      // What may pass by itself is for /readyz alone; it ends within the rule's own time.
      if (state === 'unreachable') gate.failed('error', 'this node is not reached by its peers', unreachable(reason));
      return;
    }
    readiness.reached(probePart, reason);
    if (state === 'unproven') gate.failed('warn', 'that pods are reached is not proven', new Error(reason));
    else gate.recovered('this node is reached by its peers');
    if (isNews && state === 'alone') logger.info('no peer to probe yet');
    if (isNews && state === 'proven') logger.info('reachable: peers answer and see our address');
    onReady();
  };
}

function unreachable(reason: string): FlannelVpcError {
  return new FlannelVpcError('TRANSIENT', reason, {
    hint: 'See whether the route tables of all subnets lead here and there, the cloud lets both machines forward ("flannel-vpc doctor" tells), and its firewall lets the pod network and the probe port (UDP) in.',
  });
}
