/**
 * EC2 and etcd without nodes: leases are put as agents and flannel put them, and controllers are the built program. A test takes a lab
 * of its own, a VPC in the file's LocalStack.
 */

import type { ClusterReport } from '../../../src/report/cluster-report.ts';
import type { Policy } from '../../clouds/aws/iam-policy.ts';
import type { LocalStack } from '../../clouds/aws/localstack.ts';
import { type AwsInstance, type AwsWorld, createAwsWorld } from '../../clouds/aws/world.ts';
import { type Controller, type ControllerRequest, startController } from '../../fabric/controller.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { until } from '../../support/until.ts';

export interface LabOptions {
  readonly localstack: LocalStack;
  /** Members of `Backend` besides the type; by default both tables are named. */
  readonly backend?: Readonly<Record<string, unknown>>;
  /** Whole net-conf, in place of the usual one; undefined is none. */
  readonly netConf?: object | undefined;
  readonly prefix?: string;
  /** Another lab, whose EC2 and etcd are to be used. */
  readonly beside?: Lab;
}

export interface LeaseRequest {
  /** Who holds it. Its ids go into the lease, unless `plain`. */
  readonly instance: Pick<AwsInstance, 'id' | 'nicId' | 'address'>;
  /** As flannel writes it: nothing but the address. */
  readonly plain?: boolean;
  /** Members after the address, such as vxlan's. */
  readonly members?: Readonly<Record<string, unknown>>;
}

export interface Lab {
  readonly world: AwsWorld;
  readonly etcd: EtcdServer;
  readonly prefix: string;
  /** Started so far. */
  readonly controllers: readonly Controller[];
  putNetConf(netConf: object | string): Promise<void>;
  putLease(subnet: string, request: LeaseRequest): Promise<void>;
  dropLease(subnet: string): Promise<void>;
  /** A running instance with leases for these subnets. */
  node(address: string, ...subnets: readonly string[]): Promise<AwsInstance>;
  /** With `--resync=1s` and without an election, unless `args` say otherwise. Ends with the lab. */
  start(request?: Partial<ControllerRequest> & { readonly policy?: Policy }): Controller;
  /** Where the tables send packets to this destination, the explicit table first. */
  targets(destination: string, tables?: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** Waits until all tables lead to the NIC, or nowhere. */
  leads(destination: string, nicId: string | undefined, timeoutMs?: number): Promise<void>;
  /** Everything of both tables that is outside of the pod network, as EC2 says it. */
  foreign(): Promise<string>;
  /** Requests that change something, of this controller or of all. */
  writes(caller?: string): readonly string[];
  stop(): Promise<void>;
}

/** Waits until the controller reports what holds, and gives the report. */
export async function reported(
  controller: Controller,
  what: string,
  holds: (report: ClusterReport) => boolean,
  timeoutMs = 20_000,
): Promise<ClusterReport> {
  let last: ClusterReport | undefined;
  const look = async (): Promise<boolean> => {
    // It listens a moment after its start.
    last = await controller.report().catch(() => undefined);
    return last !== undefined && holds(last);
  };
  await until(what, look, timeoutMs).catch((error: unknown) => {
    throw new Error(`${String(error)}; it reports ${JSON.stringify(last?.problems)}`);
  });
  if (!last) throw new Error('no report');
  return last;
}

/** Waits for a problem with this code and gives its words. */
export async function problem(controller: Controller, code: string): Promise<string> {
  const has = ({ problems }: ClusterReport): boolean => problems.some((row) => row.code === code);
  const { problems } = await reported(controller, `the problem ${code}`, has);
  const row = problems.find((each) => each.code === code);
  return `${row?.text} ${row?.hint ?? ''}`;
}

export const podNetwork = '10.244.0.0/16';
export const defaultPrefix = '/coreos.com/network';
/** EC2's writes may take 10 s; a term is longer. */
export const termMs = 12_000;
export const retryMs = 1_000;
export const elected = [
  ...['--resync=1s', '--leader-elect=true', `--leader-elect-lease-duration=${termMs / 1_000}s`],
  `--leader-elect-retry-period=${retryMs / 1_000}s`,
];

export async function createLab(options: LabOptions): Promise<Lab> {
  const { localstack, backend, prefix = defaultPrefix, beside } = options;
  const [world, etcd] = beside
    ? [beside.world, beside.etcd]
    : await Promise.all([createAwsWorld({ localstack }), startEtcd()]);
  const controllers: Controller[] = [];
  const tableIds = [world.explicitTableId, world.mainTableId];
  const leaseKey = (subnet: string): string => `${prefix}/subnets/${subnet.replace('/', '-')}`;

  async function putNetConf(netConf: object | string): Promise<void> {
    await etcd.put(`${prefix}/config`, typeof netConf === 'string' ? netConf : JSON.stringify(netConf));
  }

  async function putLease(subnet: string, { instance, plain = false, members = {} }: LeaseRequest): Promise<void> {
    const { id: instanceId, nicId, address } = instance;
    const node = { instanceId, nicId, nodeName: `node-${address}`, addresses: [address] };
    const value = { PublicIP: address, PublicIPv6: null, ...members, ...(plain ? {} : { FlannelVPC: node }) };
    await etcd.put(leaseKey(subnet), JSON.stringify(value), 86_400);
  }

  async function targets(destination: string, tables = tableIds): Promise<readonly (string | undefined)[]> {
    return await Promise.all(tables.map(async (id) => (await world.staticRoutes(id))[destination]));
  }

  if (!('netConf' in options)) {
    const Backend = { Type: 'aws-vpc', Writer: 'controller', ...(backend ?? { RouteTableID: tableIds }) };
    await putNetConf({ Network: podNetwork, Backend });
  } else if (options.netConf) await putNetConf(options.netConf);

  return {
    ...{ world, etcd, prefix, controllers, putNetConf, putLease, targets },
    dropLease: async (subnet) => await etcd.delete(leaseKey(subnet)),
    async node(address, ...subnets) {
      const subnet = address.startsWith('10.0.1.') ? world.explicitSubnet : world.mainSubnet;
      const instance = await world.runInstance(subnet, address);
      for (const each of subnets) await putLease(each, { instance });
      return instance;
    },
    start({ name = 'one', args = [], policy, ...request } = {}) {
      world.proxy.roles.setRole('controller', policy);
      const usual = ['--resync=1s', '--leader-elect=false', `--etcd-prefix=${prefix}`];
      const controller = startController({ world, etcd }, { name, args: [...usual, ...args], ...request });
      controllers.push(controller);
      return controller;
    },
    async leads(destination, nicId, timeoutMs = 20_000) {
      await until(
        `${destination} leads ${nicId === undefined ? 'nowhere' : `to ${nicId}`}`,
        async () => (await targets(destination)).every((target) => target === nicId),
        timeoutMs,
      );
    },
    async foreign() {
      const routes = [...(await world.routes(world.explicitTableId)), ...(await world.routes(world.mainTableId))];
      return JSON.stringify(routes.filter((route) => !route.DestinationCidrBlock?.startsWith('10.244.')));
    },
    writes: (caller) =>
      world.proxy.log
        .filter((entry) => !entry.action.startsWith('Describe') && (!caller || entry.caller === `controller/${caller}`))
        .map(({ action, parameters }) => `${action} ${parameters['DestinationCidrBlock'] ?? ''}`.trim()),
    async stop() {
      for (const controller of controllers) await controller.kill('SIGKILL');
      if (beside) return;
      await world.stop();
      await etcd.stop();
    },
  };
}
