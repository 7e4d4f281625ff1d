/** What the meter tells of calls to a cloud, under the budget as in the program. */
import { describe, expect, it } from '@jest/globals';
import { withBudget } from '../../../providers/budget.ts';
import { type CloudCall, withCallMeter } from '../../../providers/call-meter.ts';
import { createMemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { cidrOf, parseIp } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { createTestClock } from '../../support/test-clock.ts';

const selector = { tableIds: ['rtb-1'], networkId: undefined, subnetIds: [] };
const nextHop = { nicId: 'eni-1', instanceId: 'i-1', subnetId: 'subnet-1', networkId: 'vpc-1', forwards: true };

function lab() {
  const clock = createTestClock();
  const cloud = createMemoryCloud({
    clock,
    networks: [{ id: 'vpc-1', cidrs: ['10.0.0.0/16'], subnets: [{ id: 'subnet-1', cidr: '10.0.1.0/24' }] }],
    tables: [{ id: 'rtb-1', networkId: 'vpc-1', main: true }],
    instances: [{ id: 'i-1', nics: [{ id: 'eni-1', subnetId: 'subnet-1', addresses: ['10.0.1.11'] }] }],
  });
  const calls: CloudCall[] = [];
  const metered = withCallMeter(cloud.provider('i-1'), (call) => calls.push(call));
  const provider = withBudget(metered, { clock, random: () => 0.5, logger: silentLogger });
  return { clock, cloud, calls, metered, provider };
}

function destination() {
  const address = parseIp('10.244.7.0');
  if (!address) throw new Error('no address');
  return cidrOf(address, 24);
}

describe('the call meter', () => {
  it('tells of each try by itself, and of throttling', async () => {
    const { clock, cloud, calls, provider } = lab();
    cloud.inject({ action: 'create', error: new FlannelVpcError('THROTTLED', 'slow down'), times: 2 });
    const change = { action: 'create', tableId: 'rtb-1', destination: destination(), nextHop } as const;
    const done = provider.apply(change, new AbortController().signal);
    await clock.advance(60_000);
    await done;
    expect(calls).toEqual([
      { action: 'create', result: 'THROTTLED', throttled: true },
      { action: 'create', result: 'THROTTLED', throttled: true },
      { action: 'create', result: 'ok', throttled: false },
    ]);
  });

  it('changes neither what comes back nor what is thrown', async () => {
    const { cloud, calls, metered } = lab();
    const never = new AbortController().signal;
    expect((await metered.tables(selector, never)).map(({ id }) => id)).toEqual(['rtb-1']);
    const error = new FlannelVpcError('PERMISSION_DENIED', 'no');
    cloud.inject({ action: 'tables', error });
    await expect(metered.tables(selector, never)).rejects.toBe(error);
    expect(calls.map(({ result }) => result)).toEqual(['ok', 'PERMISSION_DENIED']);
  });

  it('tells apart what we gave up', async () => {
    const { calls, metered } = lab();
    await expect(metered.tables(selector, AbortSignal.abort())).rejects.toThrow();
    expect(calls).toEqual([{ action: 'tables', result: 'aborted', throttled: false }]);
  });

  it('does not count the metadata server', async () => {
    const { calls, metered } = lab();
    await metered.identify(new AbortController().signal);
    expect(calls).toEqual([]);
  });
});
