/** What the store's answers mean. Pure. */
import type { EndpointReport } from '../../lease/etcd/examine.ts';
import type { Lease } from '../../lease/lease.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import { type Cidr, formatCidr, formatIp, sameCidr } from '../core/ip.ts';
import { type Finding, failed, fromError, ok, warning } from './findings.ts';

/** Above this every lease, renewal and record is slow, milliseconds. */
const slowMs = 500;

/** One finding for each endpoint, and one for all: whether they are one store. */
export function judgeEndpoints(reports: readonly EndpointReport[]): readonly Finding[] {
  const anyAnswers = reports.some(({ latencyMs }) => latencyMs !== undefined);
  const each = reports.map(({ url, latencyMs, error }): Finding => {
    const check = `endpoint ${url}`;
    // An agent goes on with the endpoints that answer.
    if (latencyMs === undefined) {
      return fromError(
        check,
        error,
        anyAnswers ? 'warning' : 'failed',
        'Check --etcd-endpoints, and that etcd is running.',
      );
    }
    const shown = `answers in ${latencyMs < 10 ? latencyMs.toFixed(1) : Math.round(latencyMs)} ms`;
    return latencyMs < slowMs
      ? ok(check, shown)
      : warning(check, `${shown}, which is slow`, "Look at etcd's disk and load, and at the way to it.");
  });
  const ids = [...new Set(reports.flatMap(({ storeId }) => storeId ?? []))];
  const revision = reports.flatMap((report) => report.revision ?? []).at(-1);
  if (ids.length > 1) {
    const remedy = 'Name endpoints of one cluster only: nodes that use another one lease the same subnets twice.';
    return [
      ...each,
      failed('etcd cluster', `the endpoints belong to ${ids.length} clusters: ${ids.map(shownId).join(', ')}`, remedy),
    ];
  }
  return ids[0] === undefined ? each : [...each, ok('etcd cluster', `id ${shownId(ids[0])}, revision ${revision}`)];
}

/** As etcdctl shows it. */
function shownId(id: string): string {
  return BigInt(id).toString(16);
}

export interface OwnLeaseFacts {
  /** Leases that are this node's by instance id or address. */
  readonly own: readonly Lease[];
  readonly all: readonly Lease[];
  /** Subnets that subnet.env names. */
  readonly file: readonly Cidr[];
  readonly subnetFile: string;
}

/** Whether this node has one lease, and whether subnet.env says the same. */
export function judgeLease({ own, all, file, subnetFile }: OwnLeaseFacts): Finding {
  const check = 'lease';
  const [lease, ...more] = own;
  const named = file.map(formatCidr).join(', ');
  const holder = all.find((other) =>
    subnetsOf(other.subnets).some((subnet) => file.some((one) => sameCidr(one, subnet))),
  );
  if (!lease) {
    if (holder) {
      const remedy =
        'Stop the containers and delete the file; then start the agent. Or correct --public-ip and --iface.';
      return failed(check, `${subnetFile} says ${named}, and that is leased by ${ownerOf(holder)}`, remedy);
    }
    const said = named === '' ? '' : `, though ${subnetFile} says ${named}`;
    return failed(check, `this node has none among ${all.length}${said}`, 'Start the agent, and read its log.');
  }
  const key = leaseKey(lease.subnets);
  if (more.length > 0) {
    const keys = own.map(({ subnets }) => leaseKey(subnets)).join(' and ');
    return warning(
      check,
      `this node has several: ${keys}`,
      'Delete those that its agent does not use; see docs/etcd.md.',
    );
  }
  const reserved = lease.reserved ? ', reserved' : '';
  if (file.length === 0) {
    return failed(
      check,
      `${key}${reserved}, but there is no ${subnetFile}`,
      'Start the agent: it writes the file when all is in place.',
    );
  }
  if (file.some((one) => !subnetsOf(lease.subnets).some((subnet) => sameCidr(one, subnet)))) {
    const remedy = 'Restart the agent, then the containers, which live on the other subnet.';
    return failed(check, `${key}${reserved}, but ${subnetFile} says ${named}`, remedy);
  }
  return ok(check, `${key}${reserved}, as ${subnetFile} says`);
}

function ownerOf({ attributes }: Lease): string {
  const address = attributes.publicIps[4] ?? attributes.publicIps[6];
  return attributes.node?.instanceId ?? (address ? formatIp(address) : 'somebody without an address');
}
