/** What doctor hears of azure-vnet on the simulated Azure: rights, switches, ranges, firewalls, tables. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/azure-vnet/azure-vnet.ts';
import type { Finding } from '../../../providers/diagnosis.ts';
import type { CloudProvider, DiagnosisSubject } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { actionsOfReadme } from '../../clouds/azure/rights.ts';
import { type AzureInstance, type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';
import { cidr, ip } from '../../support/addresses.ts';

let world: AzureWorld;
let node: AzureInstance;
let provider: CloudProvider;
let reader: CloudProvider;

const config = { routeTableIds: [], foreignController: false };
const parts = { config, clock: systemClock, logger: silentLogger, random: Math.random };
const signal = () => AbortSignal.timeout(20_000);

beforeAll(async () => {
  world = await createAzureWorld();
  node = await world.runInstance(world.subnets[0], '10.0.1.10');
  const { environment } = await world.startMetadata(node);
  provider = createProvider({ ...parts, environment });
  reader = createProvider({ ...parts, environment: world.operatorEnvironment('reader', 'r') });
});

afterAll(async () => {
  await provider?.close();
  await reader?.close();
  await world?.stop();
});

afterEach(() => {
  world.setRights('node', 'all');
  world.setRights('reader', 'all');
  world.clearFaults();
  world.resetRequests();
});

async function subject(needs: DiagnosisSubject['needs'], tableIds = world.tableIds): Promise<DiagnosisSubject> {
  const { networkId } = world;
  const [found] = await reader.resolve([{ address: ip(node.address), instanceId: node.id, networkId }], signal());
  const nextHop = found?.kind === 'resolved' ? found.nextHop : undefined;
  const tables = await reader.tables({ tableIds, networkId, subnetIds: [] }, signal());
  return { networks: [cidr('10.244.0.0/16'), cidr('fd00:10:244::/48')], nextHop, tables, networkId, needs };
}

const bad = (findings: readonly Finding[]) => findings.filter(({ status }) => status !== 'ok');

describe('a diagnosis of Azure', () => {
  it('finds all well but the switch that an agent sets, and asks nothing where no rights are needed', async () => {
    const findings = await provider.diagnose(await subject('write'), signal());

    expect(bad(findings)).toMatchObject([
      { check: 'IP forwarding', status: 'failed', remedy: expect.stringContaining('az network nic update') },
    ]);
    expect(findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining([
        'credentials',
        `room ${world.tableIds[0]}`,
        'overlap network',
        'overlap peerings',
        'security groups',
      ]),
    );
    const asked = await subject('none');
    world.resetRequests();
    expect(bad(await provider.diagnose(asked, signal()))).toEqual([]);
    expect(world.requests()).toEqual([]);
    expect(world.requests().filter(({ changes }) => changes)).toEqual([]);
  });

  it('names each right of the node’s role that is missing, and where', async () => {
    const { node: actions } = await actionsOfReadme();
    const asked = await subject('write');
    const here = [...actions, 'Microsoft.Authorization/permissions/read'];
    for (const action of actions.filter((each) => !each.includes('networkSecurityGroups/join'))) {
      world.setActions(
        'node',
        here.filter((each) => each !== action),
      );

      const findings = await provider.diagnose(asked, signal());

      const about = bad(findings).filter(({ check }) => check.startsWith(`right ${action} `));
      expect(about.map(({ status, remedy }) => [status, remedy?.includes(action)])).toContainEqual(['failed', true]);
    }
  });

  it('says what it did not check for want of rights of its own', async () => {
    const asked = await subject('write');
    world.setRights('node', 'readme');

    const findings = bad(await provider.diagnose(asked, signal()));

    for (const action of ['permissions', 'virtualNetworks', 'networkSecurityGroups']) {
      expect(findings).toContainEqual(
        expect.objectContaining({
          status: 'warning',
          found: expect.stringMatching(new RegExp(`not checked: .*/${action}/read`)),
          remedy: expect.stringContaining('Least rights'),
        }),
      );
    }
  });

  it('finds pod networks that share addresses with the VNet or a peer', async () => {
    const asked = { ...(await subject('read')), networks: [cidr('10.0.0.0/8'), cidr('172.30.8.0/21')] };

    const found = bad(await reader.diagnose(asked, signal())).map(({ check, status }) => `${check} ${status}`);

    expect(found).toContain('overlap network failed');
    expect(found).toContain('overlap peerings failed');
  });

  it('finds tables that are nearly full, or that the cloud provider writes', async () => {
    const tableId = world.addTable({
      group: 'Nodes-RG',
      name: 'Crowded',
      tags: { 'k8s-azure-cluster-name': 'kubernetes' },
    });
    for (let third = 0; third < 320; third++) {
      await world.addRoute(tableId, {
        name: `r${third}`,
        properties: { addressPrefix: `10.${100 + Math.floor(third / 250)}.${third % 250}.0/24`, nextHopType: 'None' },
      });
    }

    const findings = bad(await reader.diagnose(await subject('read', [tableId]), signal()));

    expect(findings).toContainEqual(expect.objectContaining({ check: `room ${tableId}`, status: 'warning' }));
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: `controller ${tableId}`,
        status: 'failed',
        remedy: expect.stringContaining('ForeignController'),
      }),
    );
  });

  it('finds a node without an address of a family', async () => {
    const asked = await subject('read');
    const nextHop = asked.nextHop && { ...asked.nextHop, target: { 4: { kind: 'address', id: '10.0.1.10' } as const } };

    const findings = bad(await reader.diagnose({ ...asked, nextHop }, signal()));

    expect(findings).toContainEqual(expect.objectContaining({ check: 'IPv6 address', status: 'failed' }));
  });

  it('has one finding where Azure does not know the caller, and throws what passes by itself', async () => {
    const asked = await subject('write');
    const nobody = createProvider({
      ...parts,
      environment: { FLANNEL_VPC_AZURE_ENDPOINT: world.url, FLANNEL_VPC_AZURE_METADATA: 'http://127.0.0.1:9' },
    });
    world.inject({ effect: { kind: 'refuse', as: 'throttled' } });

    await expect(provider.diagnose(asked, signal())).rejects.toMatchObject({ code: 'THROTTLED' });
    await expect(nobody.diagnose(asked, signal())).resolves.toMatchObject([{ check: 'credentials', status: 'failed' }]);
    await nobody.close();
  });
});
