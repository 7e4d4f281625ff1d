/** The built controller on a real API server and LocalStack: nodes come and go, and so do their routes. */
import { setTimeout as delay } from 'node:timers/promises';
import { CreateRouteCommand } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type LocalStack, startLocalStack } from '../clouds/aws/localstack.ts';
import type { AwsInstance } from '../clouds/aws/world.ts';
import type { Controller } from '../fabric/controller.ts';
import { elected, reported, retryMs, termMs } from '../integration/controller/lab.ts';
import { until } from '../support/until.ts';
import { createKubeLab, type KubeLab } from './controller-lab.ts';

let localstack: LocalStack;
let lab: KubeLab;

beforeAll(async () => {
  localstack = await startLocalStack();
  lab = await createKubeLab({ localstack });
}, 180_000);
afterAll(async () => {
  await lab?.stop();
  await localstack?.stop();
});

describe('one controller', () => {
  let controller: Controller;
  let first: AwsInstance;
  let second: AwsInstance;

  beforeAll(async () => {
    first = await lab.node('first', '10.0.1.10', '10.244.1.0/24');
    controller = lab.start({ name: 'one', args: ['--resync=60s'] });
    await controller.logged(/leading: this controller/);
  });
  afterAll(async () => {
    await controller?.kill();
  });

  it('makes the route of a node by its provider id and address, before an agent has annotated it', async () => {
    await lab.leads('10.244.1.0/24', first.nicId);
    await until('its check is off', async () => !(await lab.world.sourceDestCheck(first.nicId)));
    const [node] = (await reported(controller, 'all is well', ({ problems }) => problems.length === 0)).nodes;
    expect(node).toMatchObject({ nodeName: 'first', instanceId: first.id, state: 'ok', publicIps: ['10.0.1.10'] });
  });

  it('makes the route of a node that joins, long before the next resync', async () => {
    second = await lab.node('second', '10.0.2.20', '10.244.2.0/24');
    await lab.leads('10.244.2.0/24', second.nicId);
    const [explicit, main] = [lab.world.explicitTableId, lab.world.mainTableId];
    await until('each route is recorded', async () => (await lab.records()).length === 4);
    expect([...(await lab.records())].sort()).toEqual(
      [
        `vpcroute.flannel-vpc.dev/10.244.1.0-24.${explicit}`,
        `vpcroute.flannel-vpc.dev/10.244.1.0-24.${main}`,
        `vpcroute.flannel-vpc.dev/10.244.2.0-24.${explicit}`,
        `vpcroute.flannel-vpc.dev/10.244.2.0-24.${main}`,
      ].sort(),
    );
  });

  it('makes none for a node whose address is another instance’s than its provider id says', async () => {
    const claimed = { id: 'i-00000000000000bad', address: first.address, subnet: first.subnet };
    await lab.putNode('liar', '10.244.9.0/24', { instance: claimed });
    const holds = (report: Awaited<ReturnType<Controller['report']>>): boolean =>
      report.nodes.some(({ nodeName, state }) => nodeName === 'liar' && state === 'refused');
    const { nodes } = await reported(controller, 'it is refused', holds);
    expect(nodes.find(({ nodeName }) => nodeName === 'liar')?.reason).toContain('i-00000000000000bad');
    expect(await lab.targets('10.244.9.0/24')).toEqual([undefined, undefined]);
    await lab.deleteNode('liar');
    await reported(controller, 'all is well again', ({ problems }) => problems.length === 0);
  });

  it('asks the cloud nothing for the heartbeats of kubelets', async () => {
    await delay(1_000);
    lab.world.proxy.resetLog();
    for (let beat = 0; beat < 3; beat++) {
      for (const name of ['first', 'second']) await lab.heartbeat(name);
      await delay(400);
    }
    expect(lab.world.proxy.log.map(({ action }) => action)).toEqual([]);
  });

  it('takes the route of a deleted node out at once, and its record', async () => {
    // None takes out what it wrote itself just now; whoever leads next does.
    await controller.kill();
    controller = lab.start({ name: 'two', args: ['--resync=600s'] });
    await controller.logged(/leading: this controller/);
    await reported(controller, 'all is well', ({ problems, nodes }) => nodes.length === 2 && problems.length === 0);
    // A new leader looks twice. A look that finds the node absent before the watch has told that it was deleted waits for two resyncs.
    await delay(3_000);
    await lab.deleteNode('second');
    await lab.leads('10.244.2.0/24', undefined);
    await until('the records are gone', async () => (await lab.records()).length === 2);
    expect(await lab.targets('10.244.1.0/24')).toEqual([first.nicId, first.nicId]);
  });

  it('gives the subnet to the node that gets it next', async () => {
    const third = await lab.node('third', '10.0.2.30', '10.244.2.0/24');
    await lab.leads('10.244.2.0/24', third.nicId, 60_000);
  }, 80_000);
});

describe('a node whose route stands against somebody else’s', () => {
  const destination = '10.244.50.0/24';
  let controller: Controller;
  let node: AwsInstance;

  interface Condition {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
    readonly lastTransitionTime: string;
  }

  const condition = async (): Promise<Condition | undefined> => {
    const { status } = JSON.parse(await lab.server.kubectl('get', 'node', 'blocked', '-o', 'json'));
    return status.conditions?.find(({ type }: Condition) => type === 'FlannelVPCRoute');
  };

  beforeAll(async () => {
    const { admin, mainTableId, internetGatewayId } = lab.world;
    await admin.send(
      new CreateRouteCommand({
        ...{ RouteTableId: mainTableId, DestinationCidrBlock: destination, GatewayId: internetGatewayId },
      }),
    );
    controller = lab.start({ name: 'notices' });
    node = await lab.node('blocked', '10.0.2.50', destination);
  });
  afterAll(async () => {
    await controller?.kill();
  });

  it('has a condition and an Event that say why, once', async () => {
    await until('the condition is there', async () => (await condition())?.status === 'False', 30_000);
    const first = await condition();
    expect(first).toMatchObject({ reason: 'RouteConflict' });
    expect(first?.message).toContain(lab.world.mainTableId);
    // Several resyncs later all of it stands as it was.
    const { metadata } = JSON.parse(await lab.server.kubectl('get', 'node', 'blocked', '-o', 'json'));
    await delay(4_000);
    const later = JSON.parse(await lab.server.kubectl('get', 'node', 'blocked', '-o', 'json'));
    expect(later.metadata.resourceVersion).toBe(metadata.resourceVersion);
    const described = await lab.server.kubectl('describe', 'node', 'blocked');
    expect(described).toMatch(/FlannelVPCRoute +False/);
    expect(described.match(/Warning +RouteConflict/g)).toHaveLength(1);
  });

  it('has the condition turned when the other route is gone, and no other condition touched', async () => {
    await lab.heartbeat('blocked');
    await lab.world.removeRoute(lab.world.mainTableId, destination);
    await lab.leads(destination, node.nicId);
    await until('the condition is turned', async () => (await condition())?.status === 'True', 30_000);
    const described = await lab.server.kubectl('describe', 'node', 'blocked');
    expect(described).toMatch(/Ready +True/);
    expect(described).toMatch(/Normal +RoutesStand/);
    expect(described).not.toContain('NetworkUnavailable');
  });

  it('is the only node that anything is said of', async () => {
    const { items } = JSON.parse(await lab.server.kubectl('get', 'nodes', '-o', 'json'));
    const said = items.filter(({ status }: { status: { conditions?: Condition[] } }) =>
      status.conditions?.some(({ type }) => type === 'FlannelVPCRoute'),
    );
    expect(said.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual(['blocked']);
  });
});

describe('an API server that dies while a controller leads', () => {
  it('costs no route, and what happened meanwhile is made up for when it is back', async () => {
    const stays = await lab.node('stays', '10.0.1.60', '10.244.60.0/24');
    const controller = lab.start({ name: 'outlives', args: ['--resync=60s'] });
    try {
      await lab.leads('10.244.60.0/24', stays.nicId);
      lab.world.proxy.resetLog();
      await lab.server.kill();
      await controller.logged(/watch of all nodes.*(ECONNREFUSED|no answer)/, 30_000);
      await lab.server.restart();
      const joins = await lab.node('joins', '10.0.1.61', '10.244.61.0/24');
      await lab.leads('10.244.61.0/24', joins.nicId, 60_000);
      expect(await lab.targets('10.244.60.0/24')).toEqual([stays.nicId, stays.nicId]);
      expect(lab.writes().filter((write) => write.startsWith('DeleteRoute'))).toEqual([]);
    } finally {
      await controller.kill();
    }
  }, 180_000);
});

describe('a route that somebody changes by hand', () => {
  it('is put right at the next resync', async () => {
    const node = await lab.node('drifts', '10.0.1.62', '10.244.62.0/24');
    const controller = lab.start({ name: 'repairs' });
    try {
      await lab.leads('10.244.62.0/24', node.nicId);
      await lab.world.removeRoute(lab.world.mainTableId, '10.244.62.0/24');
      await lab.leads('10.244.62.0/24', node.nicId);
    } finally {
      await controller.kill();
    }
  }, 60_000);
});

describe('two controllers', () => {
  it('elect one by the Lease object; when it is killed, the other one writes within the term', async () => {
    const [first, second] = [lab.start({ name: 'first', args: elected }), lab.start({ name: 'second', args: elected })];
    try {
      const leads = async (each: Controller): Promise<boolean> =>
        (await each.report().catch(() => undefined))?.controller?.role === 'leader';
      await until('one leads', async () => (await leads(first)) || (await leads(second)), 30_000);
      const [leader, standby] = (await leads(first)) ? [first, second] : [second, first];
      await standby.logged(/standing by/);
      const spec = JSON.parse(
        await lab.server.kubectl('get', 'lease', '-n', 'kube-flannel', 'flannel-vpc-controller', '-o', 'json'),
      ).spec;
      expect(spec).toMatchObject({ leaseDurationSeconds: termMs / 1_000 });

      lab.world.proxy.resetLog();
      await leader.kill('SIGKILL');
      const node = await lab.node('late', '10.0.1.63', '10.244.63.0/24');
      await lab.leads('10.244.63.0/24', node.nicId, termMs + retryMs + 10_000);
      expect(await leads(standby)).toBe(true);
      const callers = new Set(lab.world.proxy.log.map(({ caller }) => caller.replace('controller/', '')));
      expect(callers).toEqual(new Set([standby.name]));
    } finally {
      await first.kill('SIGKILL');
      await second.kill('SIGKILL');
    }
  }, 120_000);
});
