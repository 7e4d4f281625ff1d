/** What changes while an operator looks, or is asked, is never overwritten. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { createMemoryStores } from '../../../lease/memory/stores.ts';
import { createMemoryWorld, type MemoryWorld } from '../../../lease/memory/world.ts';
import type { Stores } from '../../../lease/stores.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { releaseLease } from '../../../src/operator/leases.ts';
import { setNetConf } from '../../../src/operator/netconf.ts';
import { createPaint } from '../../../src/operator/paint.ts';
import type { StoreSession } from '../../../src/operator/session.ts';
import { createTestClock } from '../../support/test-clock.ts';
import { cidr } from '../routing/fixtures.ts';

const netConf = (type: string): string => JSON.stringify({ Network: '10.5.0.0/16', Backend: { Type: type } });
const subnets = { 4: cidr('10.5.7.0/24') };

let world: MemoryWorld;
let stores: Stores;
let said: string[];
beforeEach(() => {
  world = createMemoryWorld(createTestClock());
  stores = createMemoryStores(world);
  said = [];
});

/** A session of an operator who answers with `answer`, and who gives this net-conf. */
function session(more: {
  readonly operands: readonly string[];
  readonly ask?: () => Promise<boolean>;
  readonly file?: string;
}): StoreSession {
  const speak = (...lines: readonly string[]): void => void said.push(...lines);
  return {
    get: { text: () => '', list: () => [], boolean: () => false, number: () => 0 },
    operands: more.operands,
    console: {
      ...{ print: speak, say: speak, paint: createPaint(false), width: undefined },
      ask: more.ask,
      read: async () => more.file ?? '',
    },
    ...{ environment: {}, logger: silentLogger, clock: createTestClock(), random: () => 0.5 },
    signal: new AbortController().signal,
    stores,
  };
}

describe('netconf set', () => {
  test('is refused when somebody stores another one at the same moment', async () => {
    world.setNetConf(netConf('alloc'));
    const { leases } = stores;
    stores = {
      ...stores,
      leases: {
        ...leases,
        list(signal) {
          world.setNetConf(netConf('host-gw'));
          return leases.list(signal);
        },
      },
    };
    expect(await setNetConf(session({ operands: ['-'], file: netConf('aws-vpc') }))).toBe(2);
    expect(said.join('\n')).toContain('changed');
    expect((await leases.readNetConf(new AbortController().signal))?.text).toBe(netConf('host-gw'));
  });
});

describe('leases release', () => {
  test('ends nothing when the lease became another one while the operator was asked', async () => {
    const { signal } = new AbortController();
    const attributes = { publicIps: { 4: { family: 4, value: 1n } }, backendType: '', backendData: {} } as const;
    await stores.admin.reserve(subnets, attributes, signal);
    const ask = async (): Promise<boolean> => {
      const [lease] = (await stores.leases.list(signal)).leases;
      if (lease) await stores.admin.end(lease, signal);
      await stores.admin.reserve(subnets, { ...attributes, publicIps: { 4: { family: 4, value: 2n } } }, signal);
      return true;
    };
    await expect(releaseLease(session({ operands: ['10.5.7.0/24'], ask }))).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await stores.leases.list(signal)).leases).toHaveLength(1);
  });

  test('does not say that the lease still stands when the answer to its end was lost', async () => {
    const { signal } = new AbortController();
    const attributes = { publicIps: { 4: { family: 4, value: 1n } }, backendType: '', backendData: {} } as const;
    await stores.admin.reserve(subnets, attributes, signal);
    const { admin } = stores;
    const end: typeof admin.end = async (lease, inner) => {
      await admin.end(lease, inner);
      // Sent twice, since nothing was heard of the first.
      return await admin.end(lease, inner);
    };
    stores = { ...stores, admin: { ...admin, end } };
    expect(await releaseLease(session({ operands: ['10.5.7.0/24'], ask: async () => true }))).toBe(0);
    expect(said.at(-1)).toBe('ended the lease of 10.5.7.0/24');
  });
});
