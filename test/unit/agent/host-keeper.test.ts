import { expect, test } from '@jest/globals';
import type { Host, HostState } from '../../../host/host.ts';
import { keepHost } from '../../../src/agent/host-keeper.ts';
import { createReadiness } from '../../../src/health/status.ts';
import { createTestClock } from '../../support/test-clock.ts';

const nothing: HostState = {
  ...{ forwarding: [], bridge: undefined, blackholeRoutes: [] },
  rules: { renderer: 'iptables', masquerade: undefined, forward: false, families: {} },
};

test.each([
  ['nothing', nothing, 0],
  ['an overlay alone', { ...nothing, overlay: { links: [], subnets: {} } }, 3],
])('looks after %s', async (_what, state, looks) => {
  const clock = createTestClock();
  const applied: string[] = [];
  const host = {
    apply: async (_state: HostState, phase: string) => {
      applied.push(phase);
      return { changes: [] };
    },
  } as unknown as Host;
  const say = (): void => {};
  const logger = { debug: say, info: say, warn: say, error: say };
  const ending = new AbortController();
  const parts = { host, logger, clock, random: () => 0.5, readiness: createReadiness({}), metrics: undefined };

  const running = keepHost(parts, state, 5_000, ending.signal).catch(() => {});
  await clock.advance(15_000);

  expect(applied).toEqual(Array.from({ length: looks }, () => 'resync'));
  ending.abort();
  await running;
});
