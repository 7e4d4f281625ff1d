/** Cases of our own in the form of recorded ones: one node with two interfaces, one start, one capture. */
import { type GoldenCase, goldenCaseSchema, type Step } from './case.ts';

/** Arguments that every start has, unless it gives its own endpoints. */
const subnetFile = '--subnet-file={{RUN}}/n1/subnet.env';
export const endpoints = '--etcd-endpoints={{ETCD}}';
/** eth0 has the default routes; eth1 a second address and a smaller MTU. */
const ifaces = [
  { name: 'eth0', mac: '02:00:00:00:00:0b', addrs: ['192.168.77.11/24', 'fd77::11/64'] },
  { name: 'eth1', mac: '02:00:00:00:01:11', mtu: 1400, addrs: ['192.168.78.11/24', '192.168.78.12/24', 'fd78::11/64'] },
];
const defaultRoutes = ['route add default via 192.168.77.1 dev eth0', '-6 route add default via fd77::1 dev eth0'];

export const prefix = '/coreos.com/network';

export interface CaseOptions {
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Members of net-conf in place of the usual ones: one free subnet, 10.5.42.0/24, and the backend alloc. */
  readonly conf?: Readonly<Record<string, unknown>>;
  readonly routes?: readonly string[];
  /** In front of everything: a TLS server, other nodes' leases, an older subnet.env. */
  readonly before?: readonly unknown[];
  /** Once the program is up, or has ended. */
  readonly after?: readonly unknown[];
}

/** `id` is unique among the cases that run together. */
export function buildCase(id: string, options: CaseOptions): GoldenCase {
  const { argv = [], env = {}, routes = defaultRoutes, before = [], after = [] } = options;
  const conf = {
    ...{ Network: '10.5.0.0/16', SubnetMin: '10.5.42.0', SubnetMax: '10.5.42.0', Backend: { Type: 'alloc' } },
    ...options.conf,
  };
  const ownEndpoints = argv.some((each) => each.includes('etcd-endpoints'));
  const steps: readonly unknown[] = [
    ...before,
    put(`${prefix}/config`, JSON.stringify(conf)),
    { op: 'start', node: 'n1', proc: 'a', argv: [...(ownEndpoints ? [] : [endpoints]), subnetFile, ...argv], env },
    { op: 'wait_ready', proc: 'a', settle: 0.5 },
    ...after,
    { op: 'capture', name: 'end' },
  ];
  return goldenCaseSchema.parse({
    ...{ id, title: id, group: 'own', judgement: { copy: true }, nodes: { n1: { ifaces, routes } }, steps },
    recorded: { steps: [], says: {}, states: {} },
  });
}

export function put(key: string, value: string, ttl?: number): Step {
  return { op: 'etcd_put', key, value, ttl };
}

/** A lease as flannel writes it, with a TTL of a day. */
export function lease(subnet: string, publicIp: string, publicIpv6?: string): Step {
  const value = JSON.stringify({ PublicIP: publicIp, PublicIPv6: publicIpv6 ?? null });
  return put(`${prefix}/subnets/${subnet}`, value, 86_400);
}
