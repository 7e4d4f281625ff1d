/**
 * EC2's wire in front of a cloud made of memory, for clusters that LocalStack can't carry: the requests of a controller, a token bucket
 * for each action, and nothing else. Any key is let in.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createMemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import type { InstanceSpec, NicSpec } from '../../../providers/memory/world.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { Ec2Refusal } from './ec2-error.ts';
import { type Ec2Request, readEc2Request } from './ec2-request.ts';
import { type Bucket, Ec2Traffic, type LoggedRequest } from './ec2-traffic.ts';
import { type MemoryTable, memoryEc2Handlers } from './memory-ec2-answers.ts';

export interface MemoryEc2Options {
  readonly vpcId: string;
  readonly vpcCidr: string;
  /** Each serves one subnet. */
  readonly tables: readonly (MemoryTable & { readonly subnetCidr: string })[];
  /** Each request takes so long, milliseconds. */
  readonly latencyMs: number;
}

export interface MemoryEc2 {
  readonly url: string;
  /** Requests since `resetLog`. */
  readonly log: readonly LoggedRequest[];
  /** Requests by action, refused ones too. */
  counts(): Readonly<Record<string, number>>;
  resetLog(): void;
  addInstance(spec: InstanceSpec): void;
  /** A route that stands already, by whoever's hand. */
  putRoute(tableId: string, destination: string, nicId: string): void;
  removeRoute(tableId: string, destination: string): void;
  /** Destination and NIC of the static routes. */
  staticRoutes(tableId: string): Readonly<Record<string, string>>;
  setThrottle(bucketOf: ((action: string) => Bucket) | undefined): void;
  setLatency(ms: number): void;
  /** Called right after a route was created or replaced. Returns what ends it. */
  onRoute(listener: (tableId: string, destination: string) => void): () => void;
  stop(): Promise<void>;
}

/** More than any account has: where quotas lie is not what is measured. */
const routeLimit = 1_000_000;

export async function startMemoryEc2(options: MemoryEc2Options): Promise<MemoryEc2> {
  const { vpcId, vpcCidr, tables } = options;
  const subnets = tables.map(({ subnetId, subnetCidr }) => ({ id: subnetId, cidr: subnetCidr }));
  const cloud = createMemoryCloud({
    networks: [{ id: vpcId, cidrs: [vpcCidr], subnets }],
    tables: tables.map(({ id, subnetId }) => ({ id, networkId: vpcId, subnetIds: [subnetId], routeLimit })),
    // It keeps a minute of former tables, for reads that lag. None do here, and thousands of writes would fill the memory.
    clock: { ...systemClock, monotonic: () => performance.now() * 1_000 },
  });
  const traffic = new Ec2Traffic();
  const owners = new Map<string, { readonly nic: NicSpec; readonly instanceId: string }>();
  let { latencyMs } = options;

  async function answerTo(request: Ec2Request): Promise<string> {
    const entry = traffic.record(request, 'controller');
    try {
      traffic.checkThrottle(request);
      if (latencyMs > 0) await delay(latencyMs);
      const handle = memoryEc2Handlers[request.action];
      if (!handle) throw new Ec2Refusal('UnsupportedOperation', `not built: ${request.action}`);
      const content = await handle({ cloud, vpcId, tables, owners }, request.parameters);
      entry.outcome = 'ok';
      const name = `${request.action}Response`;
      return `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>${content}</${name}>`;
    } catch (error) {
      entry.outcome = error instanceof Ec2Refusal ? error.code : 'broken';
      throw error;
    }
  }

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await answerTo(await readEc2Request(message));
      response.writeHead(200, { 'content-type': 'text/xml;charset=UTF-8' }).end(body);
    } catch (error) {
      const refusal = error instanceof Ec2Refusal ? error : new Ec2Refusal('RigIsBroken', String(error), 500);
      const { status, body, headers } = refusal.answer();
      response.writeHead(status, { 'content-type': 'text/xml;charset=UTF-8', ...headers }).end(body);
    }
  }

  const server = createServer((message, response) => void serve(message, response));
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    log: traffic.log,
    counts() {
      const byAction = Map.groupBy(traffic.log, ({ action }) => action);
      return Object.fromEntries([...byAction].map(([action, list]) => [action, list.length]));
    },
    resetLog: () => void traffic.log.splice(0),
    addInstance(spec) {
      cloud.addInstance(spec);
      for (const nic of spec.nics)
        for (const address of nic.addresses) owners.set(address, { nic, instanceId: spec.id });
    },
    putRoute: (tableId, destination, id) => cloud.putRoute(tableId, { destination, target: { kind: 'nic', id } }),
    removeRoute: (tableId, destination) => cloud.removeRoute(tableId, destination),
    staticRoutes: (tableId) => cloud.staticRoutes(tableId),
    setThrottle: (bucketOf) => void (traffic.bucketOf = bucketOf),
    setLatency: (ms) => void (latencyMs = ms),
    onRoute: (listener) =>
      cloud.onChange((change) => {
        if (change.kind !== 'route' || change.change.action === 'delete') return;
        listener(change.change.tableId, formatCidr(change.change.destination));
      }),
    async stop() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}
