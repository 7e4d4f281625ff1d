/** Single steps carried out whose answers are lost or late, and removals of records. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryOwnershipStore } from '../../../lease/memory/ownership-store.ts';
import type { StoredOwnershipRecord } from '../../../lease/ownership-store.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { type Execution, type Executor, executePlan } from '../../../src/routing/execute.ts';
import type { RouteStep } from '../../../src/routing/route-plan.ts';
import { cidr, desired, known, nextHop, planInput, target } from './fixtures.ts';
import { createPassLab, own, type PassLab } from './pass-lab.ts';

const subnet = '10.244.1.0/24';
const former = '10.244.9.0/24';
const input = planInput({ desired: own, leases: known([subnet]) });
const base = { tableId: 'rtb-1', reason: 'a test' };
const never = new AbortController().signal;

let lab: PassLab;
let executor: Executor;

beforeEach(() => use(createPassLab()));

function use(chosen: PassLab): void {
  lab = chosen;
  const ownership = createMemoryOwnershipStore(lab.world);
  const { clock } = lab;
  const provider = lab.cloud.provider('i-a');
  executor = { provider, ownership, clock, logger: silentLogger, recent: new Map(), claimed: new Set() };
}

const write = (destination: string, machine: string) => ({
  ...base,
  destination: cidr(destination),
  nextHop: nextHop(machine),
  holder: `i-${machine}`,
});

function recordOf(destination: string, machine: string): StoredOwnershipRecord {
  lab.putRecord('rtb-1', destination, machine);
  const found = lab.world.records().get(`${destination} rtb-1`);
  if (!found) throw new Error('no record');
  return found;
}

/** A deletion of machine a's former route, which stands and is recorded. */
function deletion(): RouteStep {
  lab.cloud.putRoute('rtb-1', { destination: former, target: target('a') });
  return { ...base, action: 'delete', destination: cidr(former), record: recordOf(former, 'a'), expected: target('a') };
}

async function execute(steps: readonly RouteStep[], ms = 0, world = input): Promise<Execution> {
  const running = executePlan(executor, { steps, kept: [] }, world, never);
  await lab.clock.advance(ms);
  return await running;
}

const codes = ({ failures }: Execution): readonly string[] => failures.map(({ error }) => error.code);

describe('a write whose answer is lost', () => {
  it('counts as written: this process deletes the route no sooner than reads can be trusted', async () => {
    lab.cloud.inject({ action: 'create', error: new FlannelVpcError('TRANSIENT', 'no answer'), when: 'after' });
    await execute([{ ...write(subnet, 'a'), action: 'create' }]);
    const record = recordOf(subnet, 'a');
    const step: RouteStep = { ...base, action: 'delete', destination: cidr(subnet), record, expected: target('a') };
    const moved = { ...input, desired: [desired('10.244.2.0/24', 'a')], leases: known(['10.244.2.0/24']) };

    const result = await execute([step], 0, moved);

    expect(result.failures.map(({ error }) => error.message)).toEqual([expect.stringContaining('just now')]);
    expect(lab.cloud.staticRoutes('rtb-1')).toEqual({ [subnet]: 'eni-a' });
  });
});

describe('a move in two steps', () => {
  it('stores one record of the route, which still says what it replaces', async () => {
    lab.cloud.putRoute('rtb-1', { destination: subnet, target: target('b') });
    const records = [recordOf(subnet, 'b')];
    const { ownership } = executor;
    const claimed: (readonly object[])[] = [];
    const claim: typeof ownership.claim = async (asked, signal) => {
      claimed.push(asked);
      return await ownership.claim(asked, signal);
    };
    executor = { ...executor, ownership: { ...ownership, claim } };
    const steps: readonly RouteStep[] = [
      { ...write(subnet, 'a'), action: 'withdraw', expected: target('b') },
      { ...write(subnet, 'a'), action: 'create' },
    ];

    const result = await execute(steps, 0, { ...input, records });

    expect(codes(result)).toEqual([]);
    expect(claimed).toEqual([[expect.objectContaining({ target: 'eni-a', holder: 'i-a', replaces: 'eni-b' })]]);
    expect(lab.cloud.staticRoutes('rtb-1')).toEqual({ [subnet]: 'eni-a' });
  });
});

describe('a removal', () => {
  it('that hangs is given up long before its mark ends', async () => {
    const step = deletion();
    lab.cloud.hold('delete');
    const startedAt = lab.clock.now();

    const result = await execute([step], 20_000);

    expect(codes(result)).toEqual(['TRANSIENT']);
    const until = Date.parse(lab.world.records().get(`${former} rtb-1`)?.removingUntil ?? '');
    // What was sent at the last moment may take a request's time-out of 20 seconds to arrive.
    expect(until - startedAt).toBeGreaterThanOrEqual(20_000 + 20_000);
  });

  it('sends nothing when setting the mark took too long', async () => {
    const step = deletion();
    const { ownership } = executor;
    executor = {
      ...executor,
      ownership: {
        ...ownership,
        async beginRemoval(record, until, signal) {
          await lab.clock.sleep(19_000, signal);
          return await ownership.beginRemoval(record, until, signal);
        },
      },
    };
    lab.cloud.hold('delete');

    const result = await execute([step], 20_000);

    expect(codes(result)).toEqual(['TRANSIENT']);
  });

  it('of a record alone asks nothing of the cloud', async () => {
    const step: RouteStep = { ...base, action: 'forget', destination: cidr(former), record: recordOf(former, 'a') };

    const result = await execute([step]);

    expect(result.done).toEqual([step]);
    expect(lab.cloud.calls).toEqual([]);
    expect(lab.records()).toEqual([]);
  });

  it('that somebody else was faster with is not done, and no failure', async () => {
    const step = deletion();
    lab.putRecord('rtb-1', former, 'b');

    const result = await execute([step]);

    expect(result).toMatchObject({ done: [], failures: [] });
    expect(lab.cloud.calls).toEqual([]);
  });
});
