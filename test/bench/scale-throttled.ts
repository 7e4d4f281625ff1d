/** Many leases at one moment on LocalStack, while EC2 lets no more requests through than it publishes, or fewer. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Bucket, publishedBucket } from '../clouds/aws/ec2-traffic.ts';
import { createAwsWorld } from '../clouds/aws/world.ts';
import { startEtcd } from '../fabric/etcd.ts';
import { until } from '../support/until.ts';
import { type Counts, startBuiltController } from './scale.ts';
import { grantLease, putLeases, type ScaleNode, scaleNetConf, scalePrefix } from './scale-cluster.ts';

export interface Throttled {
  readonly leases: number;
  readonly tables: number;
  /** Seconds that LocalStack took to make one instance, on average. */
  readonly instanceSeconds: number;
  /** Routes that stood at the end, of all tables. */
  readonly routes: number;
  readonly calls: Counts;
  /** Requests that EC2 refused for being too many. */
  readonly refused: number;
  /** Seconds from the leases to the last route. */
  readonly seconds: number;
}

/** What is left of the account's requests where somebody else takes most: less than the controller allows itself. */
export function scarceBucket(action: string): Bucket {
  const { burst, perSecond } = publishedBucket(action);
  return { burst: burst / 5, perSecond: perSecond / 4 };
}

export async function throttled(leases: number, bucketOf: (action: string) => Bucket): Promise<Throttled> {
  const subnetCidrs = ['172.31.1.0/24', '172.31.2.0/24'] as const;
  const [etcd, world] = await Promise.all([
    startEtcd(),
    createAwsWorld({ vpcCidr: '172.31.0.0/16', subnetCidrs: [...subnetCidrs] }),
  ]);
  try {
    const { proxy, explicitTableId, mainTableId } = world;
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
    const controller = await startBuiltController({ etcd, environment }, 300);
    try {
      await controller.looked();
      proxy.setThrottle(bucketOf);
      proxy.resetLog();
      const startedAt = performance.now();
      let changedAt = startedAt;
      const stands = new Set<string>();
      const stop = proxy.onChange((change) => {
        if (change.kind !== 'route' || change.action === 'delete') return;
        stands.add(`${change.tableId} ${change.destination}`);
        changedAt = performance.now();
      });
      await putLeases(etcd, nodes, await grantLease(etcd));
      await until(`routes of ${leases} leases`, async () => stands.size >= leases * 2, 900_000);
      stop();
      // The pass looks once more whether they stand.
      await delay(3_000);
      const routes = await Promise.all([explicitTableId, mainTableId].map((id) => world.staticRoutes(id)));
      return {
        ...{ leases, tables: 2, instanceSeconds, calls: proxy.counts(), seconds: (changedAt - startedAt) / 1_000 },
        routes: routes.flatMap((table) => Object.keys(table).filter((text) => text.startsWith('10.1.'))).length,
        refused: proxy.log.filter(({ outcome }) => outcome === 'RequestLimitExceeded').length,
      };
    } finally {
      await controller.process.kill('SIGTERM');
    }
  } finally {
    await world.stop();
    await etcd.stop();
  }
}
