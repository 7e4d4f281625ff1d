/**
 * What a node says of itself, as the condition every scheduler knows: NetworkUnavailable. True keeps pods away (the node lifecycle
 * controller taints it); False lets them come.
 */
import type { LeaseKey } from '../lease.ts';
import { leaseKey } from '../lease-key.ts';
import type { NodeReport, NodeReportStore } from '../node-reports.ts';
import { conditionOf, podCidrsOf } from './node-object.ts';
import { listNodes, patchCondition, readNode } from './nodes.ts';
import type { KubernetesParts } from './parts.ts';

const type = 'NetworkUnavailable';
/** flannel's words, which others look for. */
const up = { reason: 'FlannelIsUp', message: 'Flannel is running on this node' };
const down = { reason: 'PodsNotReachable' };
/** Longest message the condition gets. */
const messageLength = 1_000;

export interface NodeReportOptions {
  readonly nodeName: string;
  /** `--set-node-network-unavailable`. */
  readonly setCondition: boolean;
}

export function createKubernetesNodeReports(parts: KubernetesParts, options: NodeReportOptions): NodeReportStore {
  const { nodeName, setCondition } = options;
  return {
    async publish(_lease, report, signal) {
      if (!setCondition) return;
      const standing = conditionOf(await readNode(parts, nodeName, signal), type);
      const status = report.ready ? 'False' : 'True';
      const message = (report.ready ? report.reason || up.message : report.reason).slice(0, messageLength);
      const reason = report.ready ? up.reason : down.reason;
      if (standing?.status === status && standing.reason === reason && standing.message === message) return;
      const changed = standing?.status === status ? {} : { lastTransitionTime: report.since };
      await patchCondition(
        parts,
        nodeName,
        { type, status, reason, message, lastHeartbeatTime: report.since, ...changed },
        signal,
      );
    },
    async list(signal) {
      const { objects } = await listNodes(parts, signal);
      const reports = new Map<LeaseKey, NodeReport>();
      for (const node of objects) {
        const subnets = podCidrsOf(node);
        const condition = conditionOf(node, type);
        // A cloud's node controller and route controller set it too, and say nothing of what an agent found.
        const isOurs = condition?.reason === up.reason || condition?.reason === down.reason;
        if (!subnets || !condition || !isOurs) continue;
        const ready = condition.status === 'False';
        const said = condition.message ?? '';
        const reason = ready && said === up.message ? '' : said;
        reports.set(leaseKey(subnets), { ready, reason, since: condition.lastTransitionTime ?? '' });
      }
      return reports;
    },
  };
}
