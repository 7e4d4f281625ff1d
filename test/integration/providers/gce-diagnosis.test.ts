/** What gce finds in the way of pods on the simulated Compute Engine, and that it changes nothing. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Finding } from '../../../providers/diagnosis.ts';
import { createProvider } from '../../../providers/gce/gce.ts';
import type { CloudProvider, DiagnosisSubject, NextHop, RouteTable } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createGceWorld, type GceInstance, type GceWorld } from '../../clouds/gce/world.ts';
import { cidr, ip } from '../../support/addresses.ts';

const networks = [cidr('10.244.0.0/16')];
const signal = () => AbortSignal.timeout(30_000);
let world: GceWorld;
let node: GceInstance;
let metadata: Awaited<ReturnType<GceWorld['startMetadata']>>;
let provider: CloudProvider;
let nextHop: NextHop;

beforeAll(async () => {
  world = await createGceWorld();
  node = await world.runInstance(world.subnets[0], '10.0.1.10');
  metadata = await world.startMetadata(node);
  const environment = { HOME: '/nowhere', ...metadata.environment };
  const common = { config: {}, logger: silentLogger, clock: systemClock, random: Math.random, networks };
  provider = createProvider({ ...common, environment });
  const [resolution] = await provider.resolve([{ address: ip('10.0.1.10'), instanceId: node.id }], signal());
  if (resolution?.kind !== 'resolved') throw new Error('not resolved');
  nextHop = resolution.nextHop;
});

afterEach(() => world.setRights('node', 'all'));

afterAll(async () => {
  await provider?.close();
  await metadata?.stop();
  await world?.stop();
});

async function tables(): Promise<readonly RouteTable[]> {
  return await provider.tables({ tableIds: [world.networkId], networkId: undefined, subnetIds: [] }, signal());
}

async function find(subject: Partial<DiagnosisSubject> = {}): Promise<ReadonlyMap<string, Finding>> {
  const whole = {
    networks,
    nextHop,
    tables: await tables(),
    networkId: world.networkId,
    needs: 'write',
    ...subject,
  } as const;
  const before = await world.document(world.networkId, []);
  const findings = await provider.diagnose(whole, signal());
  expect(await world.document(world.networkId, [])).toBe(before);
  expect(findings.filter(({ status, remedy }) => status !== 'ok' && !remedy)).toEqual([]);
  return new Map(findings.map((finding) => [finding.check, finding]));
}

describe('gce’s diagnosis', () => {
  it('finds every right of a node’s list, and the one right that Google does not test as soon as a route of ours stands', async () => {
    const before = await find();
    expect(before.get('iam compute.networks.updatePolicy')).toMatchObject({ status: 'warning' });
    const change = { action: 'create', tableId: world.networkId, destination: cidr('10.244.9.0/24'), nextHop } as const;
    await provider.apply(change, signal());

    world.setRights('node', 'readme');
    const found = await find();
    const rights = [...found.keys()].filter((check) => check.startsWith('iam ')).map((check) => check.slice(4));

    expect(rights.sort()).toEqual([...world.readmeRights('node')].sort());
    for (const right of rights) expect(found.get(`iam ${right}`)).toMatchObject({ status: 'ok' });
    // Those are no node's.
    for (const check of ['overlap vpc', 'overlap subnets', 'firewall']) {
      expect(found.get(check)).toMatchObject({ status: 'warning', found: expect.stringContaining('not checked') });
    }
  });

  it.each([
    'routes.create',
    'routes.delete',
    'routes.get',
    'routes.list',
    'instances.get',
    'instances.use',
    'globalOperations.get',
  ])('names compute.%s when it is missing, with the list that has it', async (right) => {
    const known = await tables();
    world.setRights('node', { readmeWithout: `compute.${right}` });
    const found = new Map(
      (
        await provider.diagnose(
          { networks, nextHop, tables: known, networkId: world.networkId, needs: 'write' },
          signal(),
        )
      ).map((finding) => [finding.check, finding]),
    );

    expect(found.get('credentials')).toMatchObject({ status: 'ok' });
    expect(found.get(`iam compute.${right}`)).toMatchObject({
      status: 'failed',
      remedy: expect.stringContaining('Least rights'),
    });
  });

  it('finds pods’ addresses in subnets, their alias ranges and peers’ subnets', async () => {
    world.setSecondaryRanges(world.subnets[0].id, ['10.100.0.0/16']);
    const found = async (network: string, check: string) => (await find({ networks: [cidr(network)] })).get(check);

    expect(await found('10.0.0.0/16', 'overlap subnets')).toMatchObject({ status: 'failed' });
    expect(await found('10.100.4.0/24', 'overlap subnets')).toMatchObject({
      status: 'failed',
      found: expect.stringContaining('alias range'),
    });
    expect(await found('192.168.0.0/16', 'overlap peerings')).toMatchObject({
      status: 'failed',
      found: expect.stringContaining('peer-1'),
    });
    expect(await found('fd20::/20', 'overlap vpc')).toMatchObject({ status: 'failed' });
    expect(await found('10.244.0.0/16', 'overlap subnets')).toMatchObject({ status: 'ok' });
    expect(await found('10.244.0.0/16', 'overlap peerings')).toMatchObject({ status: 'ok' });
    expect(await found('10.244.0.0/16', 'overlap vpc')).toMatchObject({ status: 'ok' });
  });

  it('finds a firewall that keeps pods out, and none where it lets them in', async () => {
    const closed = (await find()).get('firewall');
    expect(closed).toMatchObject({
      status: 'failed',
      remedy: expect.stringContaining('gcloud compute firewall-rules'),
    });
    world.setFirewalls([
      {
        name: 'allow-pods',
        network: world.networkId,
        direction: 'INGRESS',
        priority: 1000,
        sourceRanges: ['10.244.0.0/16'],
        allowed: [{ IPProtocol: 'all' }],
      },
    ]);
    expect((await find()).get('firewall')).toMatchObject({
      status: 'ok',
      found: expect.stringContaining('allow-pods'),
    });
  });

  it('finds an instance that does not forward', async () => {
    expect((await find()).get('canIpForward')).toMatchObject({ status: 'ok' });
    expect((await find({ nextHop: { ...nextHop, forwards: false } })).get('canIpForward')).toMatchObject({
      status: 'failed',
      remedy: expect.stringContaining('--can-ip-forward'),
    });
  });

  it('asks nothing for an agent of a cluster with a controller', async () => {
    const known = await tables();
    world.resetRequests();
    const subject = { networks, nextHop, tables: known, networkId: world.networkId, needs: 'none' } as const;

    expect(await provider.diagnose(subject, signal())).toMatchObject([{ check: 'iam', status: 'ok' }]);
    expect(world.requests()).toEqual([]);
  });

  it('without credentials says that alone', async () => {
    const { serviceAccount: _, ...without } = node.metadata.state;
    metadata.server.setState(without);
    const environment = { HOME: '/nowhere', ...metadata.environment };
    const common = { config: {}, logger: silentLogger, clock: systemClock, random: Math.random, networks };
    const bare = createProvider({ ...common, environment });
    const subject = { networks, nextHop, tables: [], networkId: world.networkId, needs: 'write' } as const;

    expect(await bare.diagnose(subject, signal())).toMatchObject([{ check: 'credentials', status: 'failed' }]);
    metadata.server.setState(node.metadata.state);
    await bare.close();
  });

  it('without a metadata server says so, and does not ask again and again', async () => {
    const common = { config: {}, logger: silentLogger, clock: systemClock, random: Math.random, networks };
    // Nothing listens on port 9 of the loopback.
    const environment = { ...metadata.environment, HOME: '/nowhere', GCE_METADATA_HOST: '127.0.0.1:9' };
    const bare = createProvider({ ...common, environment });
    const subject = { networks, nextHop: undefined, tables: [], networkId: undefined, needs: 'write' } as const;

    const findings = await bare.diagnose(subject, signal());
    expect(findings).toMatchObject([{ check: 'credentials', status: 'failed', remedy: expect.any(String) }]);
    expect(findings[0]?.found).toContain('metadata server');
    await bare.close();
  });
});
