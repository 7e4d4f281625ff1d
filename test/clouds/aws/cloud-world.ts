/** EC2 on LocalStack behind its proxy as one cloud under test among others. What is EC2's alone is reached by `aws`. */
import { DescribeInstancesCommand, DescribeRouteTablesCommand } from '@aws-sdk/client-ec2';
import type { VpcRoute } from '../../fabric/vpc-rules.ts';
import type {
  CloudChange,
  CloudFault,
  CloudInstance,
  CloudRequest,
  CloudSubnet,
  CloudWorld,
  Rights,
  Role,
} from '../cloud-world.ts';
import { Ec2Refusal, refusals } from './ec2-error.ts';
import type { Ec2Change } from './ec2-rules.ts';
import type { Ec2Fault } from './ec2-traffic.ts';
import { allowAll, type Policy } from './iam-policy.ts';
import { type InstanceMetadata, startMetadataServer } from './imds.ts';
import { policiesOfReadme, withoutAction } from './readme-policies.ts';
import {
  type AwsInstance,
  type AwsSubnet,
  type AwsWorld,
  type AwsWorldOptions,
  createAwsWorld,
  routeDestination,
} from './world.ts';

export interface AwsCloudWorld extends CloudWorld {
  /** The same world with all that is EC2's own: the proxy, ids, the test's own client. */
  readonly aws: AwsWorld;
  /** An instance that is there already. */
  adoptInstance(id: string): Promise<CloudInstance>;
}

const metadataProgram = new URL('imds-main.ts', import.meta.url).pathname;
/** Refusals by kind. EC2 has no state in which a route table is busy; a NIC that is just being changed is. */
const refusalOf: Readonly<Record<Extract<CloudFault['effect'], { kind: 'refuse' }>['as'], () => Ec2Refusal>> = {
  throttled: refusals.throttled,
  denied: () => new Ec2Refusal('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403),
  quota: refusals.routeLimit,
  busy: () => new Ec2Refusal('IncorrectState', 'The resource is not in a state that allows this operation.'),
  server: refusals.internal,
};

/** Starts it, with LocalStack where none is given. */
export async function createAwsCloudWorld(options: AwsWorldOptions = {}): Promise<AwsCloudWorld> {
  const aws = await createAwsWorld(options);
  const { proxy } = aws;
  const tableIds = [...new Set([aws.explicitTableId, aws.mainTableId])];
  const policies = await policiesOfReadme(aws, tableIds);
  const readmePolicy = { node: policies.node, controller: policies.controller, reader: policies.read };
  const subnets = [aws.explicitSubnet, aws.mainSubnet] as const;
  const tables = new Map<string, Map<string, VpcRoute['target']>>();
  const listeners: ((change: CloudChange) => Promise<void>)[] = [];
  let operationDelayMs = 0;
  /** NICs whose instances run; read again after anything that may change it. */
  let alive: Promise<ReadonlySet<string>> | undefined;

  async function tell(change: CloudChange): Promise<void> {
    for (const listener of listeners) await listener(change);
  }

  async function readTable(tableId: string): Promise<void> {
    const routes = new Map<string, VpcRoute['target']>();
    for (const route of await aws.routes(tableId)) {
      const destination = route.DestinationCidrBlock ?? route.DestinationIpv6CidrBlock;
      if (destination === undefined || route.GatewayId === 'local') continue;
      routes.set(destination, targetOf(route.NetworkInterfaceId));
    }
    tables.set(tableId, routes);
  }

  proxy.onChange(async (change: Ec2Change) => {
    if (change.kind === 'source-dest-check') {
      await tell({ kind: 'forwards', nicId: change.nicId, forwards: !change.enabled });
    } else if (change.kind === 'route') {
      const routes = tables.get(change.tableId);
      if (change.action === 'delete') routes?.delete(change.destination);
      else routes?.set(change.destination, targetOf(change.nicId));
      await tell({ kind: 'routes', tableId: change.tableId });
    } else {
      alive = undefined;
      if (/^(Start|Stop|Terminate)Instances$/.test(change.action)) {
        for (const tableId of tableIds) await tell({ kind: 'routes', tableId });
      }
      return;
    }
    if (operationDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, operationDelayMs));
  });
  for (const tableId of tableIds) await readTable(tableId);

  function policyFor(role: Role, rights: Rights): Policy {
    if (rights === 'all') return allowAll;
    return rights === 'readme' ? readmePolicy[role] : withoutAction(readmePolicy[role], rights.readmeWithout);
  }
  const awsSubnet = (subnet: CloudSubnet): AwsSubnet => {
    const found = subnets.find(({ id }) => id === subnet.id);
    if (!found) throw new Error(`no subnet ${subnet.id} in this world`);
    return found;
  };
  const endpoint = (host = '127.0.0.1') => ({ AWS_ENDPOINT_URL_EC2: `http://${host}:${proxy.port}` });

  return {
    aws,
    type: 'aws-vpc',
    mtu: 9001,
    networkId: aws.vpcId,
    networkCidr: aws.vpcCidr,
    subnets,
    tableIds,
    backend: { RouteTableID: tableIds },
    foreignDestination: '0.0.0.0/0',
    async runInstance(subnet, address, { forwards = false } = {}) {
      const instance = await aws.runInstance(awsSubnet(subnet), address);
      if (forwards) await aws.setSourceDestCheck(instance.nicId, false);
      return cloudInstance(instance);
    },
    adoptInstance: async (id) => cloudInstance(await aws.adoptInstance(id)),
    stopInstance: aws.stopInstance,
    startInstance: aws.startInstance,
    terminateInstance: aws.terminateInstance,
    forwards: async (nicId) => !(await aws.sourceDestCheck(nicId)),
    setForwards: async (nicId, forwards) => await aws.setSourceDestCheck(nicId, !forwards),
    async startMetadata({ metadata }) {
      const server = await startMetadataServer({ metadata: metadata.state as InstanceMetadata });
      return {
        environment: { ...endpoint(), AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url },
        stop: () => server.stop(),
      };
    },
    nodeEnvironment: (_, host) => endpoint(host),
    operatorEnvironment: aws.operatorEnvironment,
    setRights: (role: Role, rights: Rights) => proxy.roles.setRole(role, policyFor(role, rights)),
    readmeRights: (role) => [...new Set(readmePolicy[role].Statement.flatMap(({ Action }) => Action))],
    async forwarding(tableId) {
      if (!tables.has(tableId)) await readTable(tableId);
      alive ??= readAlive(aws);
      const running = await alive;
      return [...(tables.get(tableId) ?? [])].map(([destination, target]) => ({
        destination,
        target: target.kind === 'nic' && !running.has(target.nicId) ? { kind: 'blackhole' } : target,
      }));
    },
    staticRoutes: aws.staticRoutes,
    async document(tableId, without) {
      const { RouteTables } = await aws.admin.send(new DescribeRouteTablesCommand({ RouteTableIds: [tableId] }));
      const [{ Routes = [], ...table } = {}] = RouteTables ?? [];
      return JSON.stringify({ ...table, Routes: Routes.filter((route) => !without.includes(routeDestination(route))) });
    },
    async putRoute(tableId, destination, { nicId }) {
      if (!(destination in (await aws.staticRoutes(tableId)))) return await aws.putRoute(tableId, destination, nicId);
      await aws.replaceRoute(tableId, destination, nicId);
    },
    async removeRoute(tableId, destination) {
      if (destination in (await aws.staticRoutes(tableId))) await aws.removeRoute(tableId, destination);
    },
    onChange: (listener) => void listeners.push(listener),
    requests: () =>
      proxy.log.map(({ action, caller, outcome, at }) => ({ ...cloudRequest(action, caller), outcome, at })),
    resetRequests: () => proxy.resetLog(),
    inject: (fault) => proxy.inject(ec2Fault(fault)),
    clearFaults: () => proxy.clearFaults(),
    setReadLag: (ms) => proxy.setReadLag(ms),
    // EC2's changes are done when they are answered: the answer is what waits.
    setOperationDelay: (ms) => void (operationDelayMs = ms),
    setThrottle: (bucket) => proxy.setThrottle(bucket && (() => bucket)),
    setRouteLimit: (limit) => proxy.setRouteLimit(limit),
    stop: aws.stop,
  };
}

function targetOf(nicId: string | undefined): VpcRoute['target'] {
  return nicId === undefined ? { kind: 'gateway' } : { kind: 'nic', nicId };
}

function cloudInstance({ metadata, ...instance }: AwsInstance): CloudInstance {
  return {
    ...instance,
    metadata: { program: metadataProgram, addresses: ['169.254.169.254:80'], state: metadata },
  };
}

function cloudRequest(operation: string, caller: string): Pick<CloudRequest, 'operation' | 'caller' | 'changes'> {
  return { operation, caller, changes: !operation.startsWith('Describe') };
}

function ec2Fault({ operation = /^/, times, when, effect }: CloudFault): Ec2Fault {
  const matches = (parameters: URLSearchParams): boolean => operation.test(parameters.get('Action') ?? '');
  const where = { matches, times, when };
  switch (effect.kind) {
    case 'status':
      return { ...where, effect: { kind: 'html', status: effect.status } };
    case 'refuse':
      return { ...where, effect: { kind: 'refuse', refusal: refusalOf[effect.as]() } };
    case 'half':
      throw new Error('EC2 changes one route in a call, at once: nothing of it can be half done');
    default:
      return { ...where, effect };
  }
}

async function readAlive({ admin }: AwsWorld): Promise<ReadonlySet<string>> {
  const { Reservations = [] } = await admin.send(new DescribeInstancesCommand({ MaxResults: 1000 }));
  const running = Reservations.flatMap(({ Instances = [] }) => Instances).filter(({ State }) =>
    ['pending', 'running'].includes(State?.Name ?? ''),
  );
  return new Set(
    running.flatMap(({ NetworkInterfaces = [] }) => NetworkInterfaces.flatMap((nic) => nic.NetworkInterfaceId ?? [])),
  );
}
