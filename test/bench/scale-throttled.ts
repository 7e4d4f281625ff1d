/**
 * Many leases at one moment, while EC2 lets no more requests through than it publishes, or fewer: on a cloud made of memory, and with
 * fewer leases on LocalStack, which takes ever longer for a request the more instances it has.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Bucket, publishedBucket } from '../clouds/aws/ec2-traffic.ts';
import { createAwsWorld } from '../clouds/aws/world.ts';
import { startEtcd } from '../fabric/etcd.ts';
import { until } from '../support/until.ts';
import { type ControllerPlace, type Counts, startBuiltController } from './scale.ts';
import {
  createScaleCluster,
  grantLease,
  putLeases,
  type ScaleNode,
  scaleNetConf,
  scalePrefix,
} from './scale-cluster.ts';

export interface Throttled {
  readonly cloud: 'LocalStack' | 'providers/memory';
  readonly leases: number;
  readonly tables: number;
  /** Routes that stood at the end, of all tables. */
  readonly routes: number;
  readonly calls: Counts;
  /** Requests that EC2 refused for being too many. */
  readonly refused: number;
  /** Seconds from the leases to the last route. */
  readonly seconds: number;
  /** Seconds that the cloud took to make one instance, on average. */
  readonly instanceSeconds: number;
}

type BucketOf = (action: string) => Bucket;

/** What is left of the account's requests where somebody else takes most: less than the controller allows itself. */
export function scarceBucket(action: string): Bucket {
  const { burst, perSecond } = publishedBucket(action);
  return { burst: burst / 5, perSecond: perSecond / 4 };
}

const tables = 2;

export async function throttled(leases: number, bucketOf: BucketOf): Promise<Throttled> {
  const cluster = await createScaleCluster(tables);
  const { ec2, tableIds } = cluster;
  try {
    return await measure(cluster, leases, {
      cloud: 'providers/memory',
      instanceSeconds: 0,
      begin(onRoute) {
        ec2.setThrottle(bucketOf);
        ec2.resetLog();
        ec2.onRoute((tableId, destination) => onRoute(`${tableId} ${destination}`));
      },
      putLeases: async () => void (await cluster.addNodes(leases)),
      counts: () => ec2.counts(),
      outcomes: () => ec2.log.map(({ outcome }) => outcome),
      routes: async () => tableIds.flatMap((id) => Object.keys(ec2.staticRoutes(id))),
    });
  } finally {
    await cluster.stop();
  }
}

export async function throttledLocalStack(leases: number, bucketOf: BucketOf): Promise<Throttled> {
  const [etcd, world] = await Promise.all([
    startEtcd(),
    createAwsWorld({ vpcCidr: '172.31.0.0/16', subnetCidrs: ['172.31.1.0/24', '172.31.2.0/24'] }),
  ]);
  const { proxy, explicitTableId, mainTableId } = world;
  try {
    await etcd.put(`${scalePrefix}/config`, JSON.stringify(scaleNetConf));
    const makingAt = performance.now();
    const nodes: ScaleNode[] = [];
    for (let index = 0; index < leases; index++) {
      const subnet = index % 2 === 0 ? world.explicitSubnet : world.mainSubnet;
      const address = `172.31.${1 + (index % 2)}.${10 + (index >> 1)}`;
      const { id, nicId } = await world.runInstance(subnet, address);
      nodes.push({ instanceId: id, nicId, subnetId: subnet.id, address, subnet: `10.1.${index}.0/24` });
    }
    const instanceSeconds = (performance.now() - makingAt) / 1_000 / leases;
    proxy.roles.setRole('controller', undefined);
    const environment = {
      ...world.environment(proxy.roles.issue('controller', 'bench')),
      AWS_EC2_METADATA_DISABLED: 'true',
    };
    return await measure({ etcd, environment }, leases, {
      cloud: 'LocalStack',
      instanceSeconds,
      begin(onRoute) {
        proxy.setThrottle(bucketOf);
        proxy.resetLog();
        proxy.onChange((change) => {
          if (change.kind === 'route' && change.action !== 'delete') onRoute(`${change.tableId} ${change.destination}`);
        });
      },
      putLeases: async () => await putLeases(etcd, nodes, await grantLease(etcd)),
      counts: () => proxy.counts(),
      outcomes: () => proxy.log.map(({ outcome }) => outcome),
      async routes() {
        const all = await Promise.all([explicitTableId, mainTableId].map((id) => world.staticRoutes(id)));
        return all.flatMap((table) => Object.keys(table));
      },
    });
  } finally {
    await world.stop();
    await etcd.stop();
  }
}

interface ThrottledCloud extends Pick<Throttled, 'cloud' | 'instanceSeconds'> {
  /** Throttles from now on, and tells of each route. */
  begin(onRoute: (route: string) => void): void;
  putLeases(): Promise<void>;
  counts(): Counts;
  outcomes(): readonly (string | undefined)[];
  /** Destinations in all tables. */
  routes(): Promise<readonly string[]>;
}

async function measure(place: ControllerPlace, leases: number, cloud: ThrottledCloud): Promise<Throttled> {
  const controller = await startBuiltController(place, 300);
  try {
    await controller.looked();
    let changedAt = performance.now();
    const stands = new Set<string>();
    cloud.begin((route) => {
      stands.add(route);
      changedAt = performance.now();
    });
    const startedAt = performance.now();
    await cloud.putLeases();
    await until(`routes of ${leases} leases`, async () => stands.size >= leases * tables, 900_000);
    // The pass looks once more whether they stand.
    await delay(3_000);
    const routes = await cloud.routes();
    return {
      ...{ cloud: cloud.cloud, leases, tables, calls: cloud.counts(), seconds: (changedAt - startedAt) / 1_000 },
      routes: routes.filter((text) => text.startsWith('10.1.')).length,
      refused: cloud.outcomes().filter((outcome) => outcome === 'RequestLimitExceeded').length,
      instanceSeconds: cloud.instanceSeconds,
    };
  } finally {
    await controller.process.kill('SIGTERM');
  }
}
