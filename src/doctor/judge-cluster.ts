/** What a Kubernetes cluster's answers mean. Pure. */
import type { ClusterExam } from '../../lease/kubernetes/examine.ts';
import { someOf } from '../report/problem-rows.ts';
import { type Finding, failed, ok, warning } from './findings.ts';

/** Above this every lease and record is slow, milliseconds. */
const slowMs = 500;

/** The API server, and what this user may do there. */
export function judgeServer({ server, latencyMs, storeId, nodes, mayPatchNodes }: ClusterExam): readonly Finding[] {
  const shown = `answers in ${Math.ceil(latencyMs)} ms; ${nodes} nodes, cluster ${storeId}`;
  return [
    latencyMs < slowMs
      ? ok(`API server ${server}`, shown)
      : warning(
          `API server ${server}`,
          shown,
          'Look at the load of the API server and of its etcd, and at the way to it.',
        ),
    mayPatchNodes
      ? ok('store writable', 'this user may patch nodes/status')
      : failed(
          'store writable',
          'this user may not patch nodes/status, so that an agent can tell nobody its address',
          'Give the service account of the agents the ClusterRole of deploy/kubernetes; or run this as that account.',
        ),
  ];
}

/** A route controller of Kubernetes beside ours: each takes the other's routes for foreign. */
export function judgeRouteControllers({ routedByOthers, managers }: ClusterExam): readonly Finding[] {
  const check = 'route controller of Kubernetes';
  const remedy =
    'Of the two one must be off: start the cloud controller manager with --configure-cloud-routes=false, or take flannel-vpc away.';
  const named = (managers ?? []).map(({ name, holder }) => `${name} (led by ${holder})`);
  if (routedByOthers.length > 0) {
    const who = named.length > 0 ? `; here runs ${named.join(', ')}` : '';
    const nodes = `${routedByOthers.length} nodes have NetworkUnavailable set by one: ${someOf(routedByOthers)}`;
    return [warning(check, `${nodes}${who}`, remedy)];
  }
  if (named.length > 0)
    return [
      ok(check, `no node has its condition; ${named.join(', ')} runs, which must have --configure-cloud-routes=false`),
    ];
  return [ok(check, managers ? 'none shows' : 'no node has its condition; leases in kube-system can’t be read')];
}
