/** What an agent makes of addresses that come and go under it. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ExternalInterface } from '../../../host/host.ts';
import { InterfaceChanged, watchInterface } from '../../../src/agent/interface-watch.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { createReadiness, type Readiness } from '../../../src/health/status.ts';
import { ip } from '../../support/addresses.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

const external: ExternalInterface = {
  name: 'eth0',
  index: 2,
  mtu: 1500,
  addresses: { 4: ip('192.168.77.11'), 6: ip('fd77::11') },
  publicIps: { 4: ip('203.0.113.7'), 6: ip('fd77::11') },
};
const none = new FlannelVpcError('INTERFACE_NOT_FOUND', 'no interface fits');

let clock: TestClock;
let readiness: Readiness;
let ending: AbortController;
let present: readonly string[] | Error;
let choice: ExternalInterface | Error;
let choices: number;
let lines: string[];
let outcome: unknown;
let running: Promise<void>;

beforeEach(async () => {
  clock = createTestClock();
  readiness = createReadiness({});
  ending = new AbortController();
  present = ['192.168.77.11', 'fd77::11', 'fe80::1'];
  choice = external;
  choices = 0;
  lines = [];
  outcome = undefined;
  const say = (message: string): void => void lines.push(message);
  running = watchInterface(
    {
      host: {
        addressesOf(name) {
          if (present instanceof Error) throw present;
          return name === 'eth0' ? present.map(ip) : [];
        },
      },
      logger: { debug: say, info: say, warn: say, error: say },
      ...{ clock, readiness, external },
      choose: async () => {
        choices++;
        if (choice instanceof Error) throw choice;
        return choice;
      },
    },
    ending.signal,
  ).catch((error: unknown) => {
    outcome = error;
  });
  await clock.settle();
});
afterEach(async () => {
  ending.abort(new DOMException('the test ends', 'AbortError'));
  await running;
});

test('does nothing while its addresses stand, whatever others the interface has', async () => {
  present = ['192.168.77.11', 'fd77::11', 'fe80::1', '192.168.77.99'];
  await clock.advance(3_600_000);
  expect([choices, lines, outcome]).toEqual([0, [], undefined]);
});

test('does not mind an address that is away for a moment, as while DHCP renews it', async () => {
  present = ['fd77::11'];
  await clock.advance(5_000);
  present = ['192.168.77.11', 'fd77::11'];
  await clock.advance(60_000);
  expect([choices, outcome]).toEqual([0, undefined]);
});

test('does not take a kernel that can’t be asked for one without its addresses, and says so once', async () => {
  present = new FlannelVpcError('HOST_COMMAND_FAILED', 'EMFILE');
  await clock.advance(60_000);
  expect([choices, lines, outcome]).toEqual([0, ['cannot look whether eth0 has its addresses'], undefined]);
  present = ['192.168.77.11', 'fd77::11'];
  await clock.advance(5_000);
  expect(lines.at(-1)).toBe('the interface has its address again');
});

test.each([
  ['another address', { addresses: { 4: ip('192.168.77.12'), 6: ip('fd77::11') } }],
  ['another interface with the same address', { name: 'ens5' }],
])('ends with what is chosen instead: %s', async (_what, change) => {
  present = ['fd77::11'];
  choice = { ...external, ...change };
  await clock.advance(10_000);
  expect(outcome).toBeInstanceOf(InterfaceChanged);
  expect((outcome as InterfaceChanged).external).toEqual(choice);
});

test('waits while there is none, says so once, is not ready meanwhile, and goes on when the address is back', async () => {
  present = [];
  choice = none;
  await clock.advance(120_000);
  expect(readiness.reasons()).toEqual({ interface: 'no interface fits' });
  expect(lines).toEqual(['eth0 has lost 192.168.77.11, fd77::11; waiting for it']);
  present = ['192.168.77.11', 'fd77::11'];
  await clock.advance(5_000);
  expect(readiness.isReady()).toBe(true);
  expect(lines).toHaveLength(2);
  expect(outcome).toBeUndefined();
});

test('takes an interface without a carrier for down, and changes nothing', async () => {
  present = [];
  await clock.advance(60_000);
  expect(readiness.reasons()).toEqual({ interface: 'eth0 is down' });
  expect(outcome).toBeUndefined();
});
