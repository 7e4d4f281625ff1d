/** What is read from etcd. */
import type { IKeyValue } from 'etcd3';
import fc from 'fast-check';
import { createEntryReader } from '../../../lease/etcd/entries.ts';
import { createEtcdKeys, parseSubnetKey } from '../../../lease/etcd/keys.ts';
import { readLeader } from '../../../lease/etcd/leader-record.ts';
import { readReport } from '../../../lease/etcd/node-reports.ts';
import { parseEndpoints } from '../../../lease/etcd/options.ts';
import { readRecord } from '../../../lease/etcd/ownership-record.ts';
import { decodeLeaseValue, encodeLeaseValue, isUnreadable } from '../../../lease/etcd/value.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { hostileCidr, hostileJson, hostileText } from '../../support/hostile.ts';
import type { Edge } from './edge.ts';

const keys = createEtcdKeys('/coreos.com/network');
const isThere = (result: unknown): boolean => result !== undefined;

const leases = [
  { PublicIP: '10.0.1.4', PublicIPv6: null },
  {
    PublicIP: '10.0.1.4',
    PublicIPv6: 'fd00::4',
    BackendType: 'vxlan',
    BackendData: { VNI: 1, VtepMAC: '12:34:56:78:9a:bc' },
    BackendV6Data: { VNI: 1, VtepMAC: '12:34:56:78:9a:bd' },
  },
  {
    PublicIP: '10.0.1.4',
    PublicIPv6: null,
    FlannelVPC: {
      ...{ instanceId: 'i-07', nicId: 'eni-07', subnetId: 'subnet-a', zone: 'eu-west-1a', nodeName: 'worker-7' },
      ...{ addresses: ['10.0.1.4', 'fd00::4'], movedTo: 'aws-vpc' },
    },
    Later: { a: [1, 2] },
  },
];
const names = ['10.244.7.0-24', '10.244.7.0-24&fd42:0:0:7::-64', '0.0.0.0-0&fd42:0:0:7::-64'];
const name = fc.oneof(
  fc.constantFrom(...names),
  hostileCidr.map((text) => text.replace('/', '-')),
  fc.tuple(fc.constantFrom(...names), hostileText).map(([sound, text]) => `${sound}${text}`),
  fc.tuple(hostileText, fc.constantFrom(...names)).map(([text, sound]) => `${text}${sound}`),
  hostileText,
);

/** A key and its value as etcd gives them. */
export function pair(key: string | Buffer, value: string | Buffer, more: Partial<IKeyValue> = {}): IKeyValue {
  const bytes = (text: string | Buffer): Buffer => Buffer.from(text as string);
  return {
    ...{ key: bytes(key), value: bytes(value), lease: '7', version: '1', create_revision: '3', mod_revision: '4' },
    ...more,
  };
}

const records = [
  { target: 'eni-07', holder: 'i-07', writtenAt: '2026-01-01T00:00:00.000Z' },
  {
    ...{ target: 'eni-07', holder: 'i-07', writtenAt: '', replaces: 'eni-06' },
    removingUntil: '2026-01-01T00:00:00.000Z',
  },
];

export const edgesOfEtcd: readonly Edge[] = [
  {
    name: "a lease's key in etcd",
    files: ['lease/etcd/keys.ts'],
    sound: names.map((text) => `${keys.subnets}${text}`),
    inputs: name.map((text) => `${keys.subnets}${text}`),
    read: (key: string) => parseSubnetKey(key),
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "a lease's value in etcd, and what is written over it",
    files: ['lease/etcd/value.ts', 'lease/node-identity.ts'],
    sound: leases.map((lease) => JSON.stringify(lease)),
    inputs: hostileJson(leases),
    read(text: string) {
      const decoded = decodeLeaseValue(text);
      if (isUnreadable(decoded)) {
        if (/[\p{Cc}]/u.test(decoded.problem)) throw new Error(`raw control characters: ${decoded.problem}`);
        return undefined;
      }
      // A lease is compared, copied and written again.
      encodeLeaseValue(structuredClone(decoded));
      return decoded;
    },
    taken: isThere,
    refuses: 'result',
  },
  {
    name: 'a key and a value below subnets/',
    files: ['lease/etcd/entries.ts'],
    sound: [pair(`${keys.subnets}${names[0]}`, JSON.stringify(leases[0]))],
    inputs: fc
      .tuple(name, hostileJson(leases), fc.boolean())
      .map(([key, value, binary]) =>
        binary
          ? pair(Buffer.from(key, 'latin1'), Buffer.from([0xff, 0xfe, 0, 0x80, ...Buffer.from(value.slice(0, 50))]))
          : pair(`${keys.subnets}${key}`, value),
      ),
    read: (kv: IKeyValue) =>
      createEntryReader({ keys, logger: silentLogger, clock: { monotonic: () => 0 } }).read(kv)?.lease,
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "a route's record in etcd",
    files: ['lease/etcd/ownership-record.ts'],
    sound: records.map((record) => pair(`${keys.routes}10.244.7.0-24/rtb-1`, JSON.stringify(record))),
    inputs: fc
      .tuple(name, fc.oneof(fc.constant('rtb-1'), hostileText), hostileJson(records))
      .map(([key, table, value]) => pair(`${keys.routes}${key}/${table}`, value)),
    read: (kv: IKeyValue) => readRecord(keys, kv),
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "a node's report in etcd",
    files: ['lease/etcd/node-reports.ts'],
    sound: [pair('', '{"ready":false,"reason":"no peer answered","since":"2026-01-01T00:00:00.000Z"}')],
    inputs: hostileJson([{ ready: true, reason: 'a', since: '2026-01-01T00:00:00.000Z' }]).map((text) =>
      pair('', text),
    ),
    read: (kv: IKeyValue) => readReport(kv),
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "the leader's key in etcd",
    files: ['lease/etcd/leader-record.ts'],
    sound: [pair('', '{"holder":"ctl-1","since":"2026-01-01T00:00:00.000Z"}')],
    inputs: hostileJson([{ holder: 'ctl-1', since: '2026-01-01T00:00:00.000Z' }]).map((text) => pair('', text)),
    read: (kv: IKeyValue) => readLeader(kv),
    taken: (result) => (result as { holder: string }).holder === 'ctl-1',
    refuses: 'result',
  },
  {
    name: 'endpoints of etcd',
    files: ['lease/etcd/options.ts'],
    sound: ['https://etcd.internal:2379', '10.0.0.1:2379'],
    inputs: fc.oneof(
      hostileText,
      fc
        .tuple(fc.constantFrom('http://', 'https://', 'unix://', 'http://u:p@'), hostileText)
        .map((two) => two.join('')),
    ),
    read: (text: string) => parseEndpoints([text]),
    taken: isThere,
    refuses: 'ours',
  },
];
