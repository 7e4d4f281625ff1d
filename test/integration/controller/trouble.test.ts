/** Full tables, throttling, broken answers and reads that lag: it converges, with few calls, and says what it waits for. */
import { setTimeout as delay } from 'node:timers/promises';
import { ReplaceRouteCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Ec2Refusal, refusals } from '../../clouds/aws/ec2-error.ts';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import { until } from '../../support/until.ts';
import { createLab, type Lab, problem, reported } from './lab.ts';

let localstack: LocalStack;
let lab: Lab;

beforeAll(async () => {
  localstack = await startLocalStack();
});
beforeEach(async () => {
  lab = await createLab({ localstack });
});
afterEach(async () => {
  await lab?.stop();
});
afterAll(async () => {
  await localstack?.stop();
});

it('a full table: names who waits, tries no more, and lets the longest waiting go first when there is room', async () => {
  const { world } = lab;
  // Beside its own, the internet gateway's and the peer's.
  world.proxy.setRouteLimit(6);
  const full = await lab.node('10.0.1.10', '10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24');
  const controller = lab.start();
  for (const subnet of ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24']) await lab.leads(subnet, full.nicId);
  // The oldest has the highest address, so that it is no accident who goes first.
  const waiting = ['10.244.30.0/24', '10.244.20.0/24', '10.244.10.0/24'];
  const late = await lab.node('10.0.2.20', ...waiting);
  const held = ({ problems }: { problems: readonly { text: string }[] }): boolean =>
    problems.filter(({ text }) => text.includes('3 waiting')).length === 2;
  await reported(controller, 'three wait in both tables', held);
  const said = await problem(controller, 'QUOTA_EXCEEDED');
  expect(said).toMatch(/is full at 6 routes/);
  expect(said).toContain(waiting.map((subnet) => `node-10.0.2.20 (${subnet})`).join(', '));

  world.proxy.resetLog();
  await delay(5_000);
  expect(lab.writes()).toEqual([]);

  for (const tableId of [world.explicitTableId, world.mainTableId]) await world.removeRoute(tableId, '172.30.0.0/16');
  await lab.leads('10.244.30.0/24', late.nicId);
  await delay(2_500);
  expect(lab.writes()).toEqual(['CreateRoute 10.244.30.0/24', 'CreateRoute 10.244.30.0/24']);
  expect(await problem(controller, 'QUOTA_EXCEEDED')).toContain(
    '2 waiting, the oldest first: node-10.0.2.20 (10.244.20.0/24)',
  );
  await controller.kill();

  world.proxy.setRouteLimit(500);
  const told = lab.start({ name: 'told', args: ['--route-limit=10'] });
  for (const subnet of waiting) await lab.leads(subnet, late.nicId);
  expect(await problem(told, 'quota')).toContain('holds 8 of 10 IPv4 routes (80 %)');
});

it('every call throttled, cut off or answered by a load balancer: it waits as it is told, and writes nothing twice', async () => {
  const { world } = lab;
  const { proxy } = world;
  const subnets = ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24'] as const;
  const [kept, wrong, stale] = subnets;
  const node = await lab.node('10.0.1.10', ...subnets);
  const stranger = await lab.node('10.0.1.90');
  const writer = lab.start({ name: 'writer' });
  for (const subnet of subnets) await lab.leads(subnet, node.nicId);
  await writer.kill();
  await world.admin.send(
    new ReplaceRouteCommand({
      ...{ RouteTableId: world.mainTableId, DestinationCidrBlock: wrong, NetworkInterfaceId: stranger.nicId },
    }),
  );
  await lab.dropLease(stale);
  const joined = await lab.node('10.0.2.20', '10.244.20.0/24');
  const throttled = new Ec2Refusal('RequestLimitExceeded', 'Request limit exceeded.', 503, { 'retry-after': '1' });
  const writeActions = ['CreateRoute', 'ReplaceRoute', 'DeleteRoute', 'ModifyNetworkInterfaceAttribute'];
  const readActions = ['DescribeRouteTables', 'DescribeNetworkInterfaces', 'DescribeInstances'];
  for (const action of [...writeActions, ...readActions])
    proxy.inject({ action, effect: { kind: 'refuse', refusal: throttled } });
  for (const action of writeActions) {
    proxy.inject({ action, effect: { kind: 'refuse', refusal: refusals.internal() } });
    proxy.inject({ action, effect: { kind: 'html', status: 502 } });
  }
  for (const action of readActions) proxy.inject({ action, effect: { kind: 'cut' } });
  // And one of each kind that took effect, though the answer does not tell.
  for (const action of ['CreateRoute', 'ReplaceRoute', 'DeleteRoute'])
    proxy.inject({ action, when: 'after', effect: { kind: 'cut' } });
  proxy.resetLog();
  const controller = lab.start({ name: 'two' });
  await lab.leads('10.244.20.0/24', joined.nicId, 60_000);
  await lab.leads(wrong, node.nicId, 60_000);
  await lab.leads(stale, undefined, 60_000);
  await until('the newcomer forwards', async () => !(await world.sourceDestCheck(joined.nicId)), 30_000);
  await lab.leads(kept, node.nicId);
  await reported(controller, 'all is well', ({ problems }) => problems.length === 0, 60_000);

  const { log } = proxy;
  for (const [index, { action, parameters, outcome, at }] of log.entries()) {
    if (outcome !== 'RequestLimitExceeded') continue;
    const again = log
      .slice(index + 1)
      .find((entry) => entry.action === action && JSON.stringify(entry.parameters) === JSON.stringify(parameters));
    // The clock of the log counts whole milliseconds.
    expect((again?.at ?? 0) - at).toBeGreaterThanOrEqual(999);
  }
  for (const action of writeActions) {
    const outcomes = log.filter((entry) => entry.action === action).map(({ outcome }) => outcome);
    // One or two effective ones, one whose answer was lost, and what was injected or follows from that.
    expect(outcomes.length).toBeLessThanOrEqual(8);
    expect(outcomes.filter((outcome) => outcome === 'ok').length).toBeLessThanOrEqual(2);
  }
  proxy.resetLog();
  await delay(2_500);
  expect(lab.writes()).toEqual([]);
}, 120_000);

it('reads that lag by three seconds: each change is written once, seen, and no news afterwards', async () => {
  const { proxy } = lab.world;
  proxy.setReadLag(3_000);
  const node = await lab.node('10.0.1.10', '10.244.1.0/24');
  const other = await lab.node('10.0.1.11');
  const controller = lab.start();
  await reported(controller, 'its route is seen', ({ nodes }) => nodes[0]?.state === 'ok');
  await lab.leads('10.244.1.0/24', node.nicId);
  await lab.putLease('10.244.1.0/24', { instance: other });
  await reported(
    controller,
    'it is seen to have moved',
    ({ nodes }) => nodes[0]?.nicId === other.nicId && nodes[0].state === 'ok',
  );
  await delay(4_000);
  expect(lab.writes().filter((write) => write.includes('Route'))).toEqual([
    ...['CreateRoute 10.244.1.0/24', 'CreateRoute 10.244.1.0/24'],
    ...['ReplaceRoute 10.244.1.0/24', 'ReplaceRoute 10.244.1.0/24'],
  ]);
  expect(lab.writes().filter((write) => write.includes('Modify'))).toHaveLength(2);
  expect((await controller.report()).problems).toEqual([]);
}, 60_000);
