/**
 * An etcd that a stranger may write to: hundreds of keys that are no leases, records or reports, and some that are leases of what is not
 * theirs. The built controller serves the honest nodes beside them and writes nothing for any other.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Etcd3 } from 'etcd3';
import fc from 'fast-check';
import { type LocalStack, startLocalStack } from '../../clouds/aws/localstack.ts';
import type { AwsInstance } from '../../clouds/aws/world.ts';
import type { Controller } from '../../fabric/controller.ts';
import { recordFigure, sizeOfRun } from '../../support/figures.ts';
import { hostileCidr, hostileJson, hostileText, rawControls } from '../../support/hostile.ts';
import { createLab, defaultPrefix, type Lab, reported } from './lab.ts';

const keysOfAKind = { ci: 60, long: 600 }[sizeOfRun()];
/** Some resyncs, which are a second apart. */
const enough = 4_000;

let localstack: LocalStack;
let lab: Lab;
let etcd: Etcd3;
let controller: Controller;
let honest: AwsInstance;
let foreignBefore: string;
let hostileKeys = 0;

beforeAll(async () => {
  localstack = await startLocalStack();
  lab = await createLab({ localstack });
  etcd = new Etcd3({ hosts: lab.etcd.endpoint });
  honest = await lab.node('10.0.1.10', '10.244.1.0/24');
  controller = lab.start({ name: 'one' });
  await lab.leads('10.244.1.0/24', honest.nicId);
  foreignBefore = await lab.foreign();
}, 180_000);
afterAll(async () => {
  etcd?.close();
  await lab?.stop();
  await localstack?.stop();
});

const lease = {
  PublicIP: '10.0.1.200',
  PublicIPv6: null,
  FlannelVPC: { instanceId: 'i-0', nicId: 'eni-0', addresses: ['10.0.1.200'] },
};
const record = { target: 'eni-0', holder: 'i-0', writtenAt: '2026-01-01T00:00:00.000Z' };
const report = { ready: false, reason: 'a', since: '2026-01-01T00:00:00.000Z' };
const samples = <T>(arbitrary: fc.Arbitrary<T>): readonly T[] =>
  fc.sample(arbitrary, { numRuns: keysOfAKind, seed: 7 });
/** etcd keeps no key without a name, and its client sends texts as UTF-8. */
const name = hostileText.map((text) => text.toWellFormed().slice(0, 2_000) || 'x');

/** Leases of subnets that are no subnets of the network, or whose address no machine of the VPC has. */
const strangers = [
  '0.0.0.0-0',
  '0.0.0.0-1',
  '10.0.0.0-16',
  '10.244.0.0-16',
  '10.244.2.0-23',
  '10.244.1.128-25',
  '192.168.7.0-24',
  '10.244.9.0-24',
];

async function fill(): Promise<void> {
  const put = async (folder: string, key: string, value: string | Buffer): Promise<void> => {
    hostileKeys += 1;
    await etcd.put(`${defaultPrefix}/${folder}/${key}`).value(value);
  };
  for (const each of strangers) await put('subnets', each, JSON.stringify(lease));
  for (const [at, value] of samples(hostileJson([lease])).entries()) {
    // The values of leases that anybody could have in the network: of an address that no machine has, or of none at all.
    await put('subnets', `10.244.${50 + (at % 100)}.0-24`, value.replaceAll('10.0.1.10', '10.0.1.200'));
  }
  for (const key of samples(name)) await put('subnets', `x${key}`, JSON.stringify(lease));
  for (const text of samples(hostileCidr))
    await put('subnets', text.replace('/', '-').replace(/^10\.244\.1\.0-24$/, 'y'), JSON.stringify(lease));
  await put('subnets', '1'.repeat(200_000), JSON.stringify(lease));
  await put('subnets', '10.244.201.0-24', Buffer.from([0xff, 0xfe, 0x00, 0x80]));
  await put('subnets', '10.244.202.0-24', `{"PublicIP":"10.0.1.200","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
  for (const value of samples(hostileJson([record])))
    await put('flannel-vpc/routes', `10.244.${hostileKeys % 250}.0-24/rtb-0`, value);
  for (const key of samples(name)) await put('flannel-vpc/routes', key, JSON.stringify(record));
  for (const value of samples(hostileJson([report])))
    await put('flannel-vpc/nodes', `10.244.${50 + (hostileKeys % 100)}.0-24`, value);
  await put('flannel-vpc/nodes', '10.244.1.0-24', '{"ready":"\\u001b[2J"}');
}

const ignoring = (): number => controller.log().filter(({ msg }) => msg === 'ignoring a key in etcd').length;

describe('an etcd full of what strangers wrote', () => {
  it('takes no route from an honest node, and gives none to anybody else', async () => {
    const before = lab.writes('one').length;
    await fill();
    await delay(enough);
    await lab.leads('10.244.1.0/24', honest.nicId);
    expect(await lab.foreign()).toBe(foreignBefore);
    expect(lab.writes('one').slice(before)).toEqual([]);
    await reported(controller, 'the strangers', ({ nodes }) => nodes.some(({ state }) => state === 'refused'));
  }, 240_000);

  it('keeps no new node from its route', async () => {
    const second = await lab.node('10.0.1.11', '10.244.3.0/24');
    await lab.leads('10.244.3.0/24', second.nicId, 40_000);
    expect(new Set(lab.writes('one').map((write) => write.split(' ')[1] ?? ''))).toEqual(
      new Set(['10.244.1.0/24', '10.244.3.0/24', '']),
    );
  }, 90_000);

  it('is told of in lines that are few, short and plain', async () => {
    expect(ignoring()).toBeGreaterThan(0);
    const lines = controller.process
      .log()
      .split('\n')
      .filter((line) => line !== '');
    const minutes = Math.ceil(performance.now() / 60_000) + 1;
    expect(ignoring()).toBeLessThanOrEqual(10 * minutes);
    for (const line of lines) {
      expect(line).not.toMatch(rawControls);
      expect(line.length).toBeLessThan(20_000);
      expect(() => JSON.parse(line)).not.toThrow();
    }
  });

  it('does not end the controller by a net-conf of theirs either, and its own works again', async () => {
    const key = `${defaultPrefix}/config`;
    const sound = (await etcd.get(key).string()) ?? '';
    for (const text of fc.sample(hostileJson([JSON.parse(sound) as unknown]), { numRuns: 10, seed: 3 })) {
      // A backend that does not exist is an operator's mistake, which ends a controller, as it ends flannel.
      if (/"Backend"/.test(text)) continue;
      await etcd.put(key).value(text);
      await delay(200);
    }
    await etcd.put(key).value(`${'['.repeat(50_000)}`);
    await delay(1_000);
    await etcd.put(key).value(sound);
    const third = await lab.node('10.0.1.12', '10.244.4.0/24');
    await lab.leads('10.244.4.0/24', third.nicId, 60_000);
  }, 120_000);

  it('is clean again when they are gone, and all is as it was', async () => {
    const honestLeases = new Set(
      ['10.244.1.0-24', '10.244.3.0-24', '10.244.4.0-24'].map((each) => `${defaultPrefix}/subnets/${each}`),
    );
    for (const key of await etcd.getAll().prefix(`${defaultPrefix}/subnets/`).keyBuffers()) {
      if (!honestLeases.has(key.toString())) await etcd.delete().key(key);
    }
    await delay(enough);
    for (const [subnet, address] of [['10.244.1.0/24', honest.nicId]] as const) await lab.leads(subnet, address);
    expect(await lab.foreign()).toBe(foreignBefore);
    await recordFigure({
      ...{ section: 'input', what: 'an etcd that strangers write to', size: sizeOfRun() },
      load: `${hostileKeys} keys beside 3 honest nodes, the built controller, EC2`,
      outcome: `3 of 3 routes stand, nothing of others changed, ${ignoring()} log lines about keys`,
    });
  }, 120_000);
});
