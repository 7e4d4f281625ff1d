/** The checks that ask store and cloud, on a store and a cloud made of memory. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { createMemoryStores } from '../../../lease/memory/stores.ts';
import { createMemoryWorld, type MemoryWorld } from '../../../lease/memory/world.ts';
import type { Finding } from '../../../providers/diagnosis.ts';
import { createMemoryCloud, type MemoryCloud } from '../../../providers/memory/memory-cloud.ts';
import { parseAgentOptions } from '../../../src/cli/agent-options.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { cloudChecks } from '../../../src/doctor/cloud-checks.ts';
import { runChecks } from '../../../src/doctor/run-checks.ts';
import { netConfChecks, storeChecks } from '../../../src/doctor/store-checks.ts';
import { createSubject } from '../../../src/doctor/subject.ts';
import { cidr, ip } from '../../support/addresses.ts';
import { isHelpful } from './words.ts';

let world: MemoryWorld;
let cloud: MemoryCloud;
/** Tables named in net-conf. */
let tableIds: readonly string[];
const ending = new AbortController();

beforeEach(() => {
  world = createMemoryWorld(systemClock);
  tableIds = ['rtb-main', 'rtb-a'];
  lease('10.5.1.0/24', '10.0.1.10', 'i-a', 'subnet-a');
  lease('10.5.2.0/24', '10.0.2.10', 'i-b', 'subnet-b');
  makeCloud({ forwards: true });
  netConf('node');
});

/** Two nodes in two subnets with a table each, and both nodes' routes in both. */
function makeCloud({ forwards }: { readonly forwards: boolean }): void {
  cloud = createMemoryCloud({
    networks: [
      {
        id: 'vpc-1',
        cidrs: ['10.0.0.0/16'],
        subnets: [
          { id: 'subnet-a', cidr: '10.0.1.0/24' },
          { id: 'subnet-b', cidr: '10.0.2.0/24' },
        ],
      },
    ],
    tables: [
      { id: 'rtb-main', networkId: 'vpc-1', main: true },
      { id: 'rtb-a', networkId: 'vpc-1', subnetIds: ['subnet-a'] },
    ],
    instances: [
      { id: 'i-a', nics: [{ id: 'eni-a', subnetId: 'subnet-a', addresses: ['10.0.1.10'], forwards }] },
      { id: 'i-b', nics: [{ id: 'eni-b', subnetId: 'subnet-b', addresses: ['10.0.2.10'], forwards }] },
    ],
  });
  for (const table of ['rtb-main', 'rtb-a']) {
    cloud.putRoute(table, { destination: '10.5.1.0/24', target: { kind: 'nic', id: 'eni-a' } });
    cloud.putRoute(table, { destination: '10.5.2.0/24', target: { kind: 'nic', id: 'eni-b' } });
  }
}

function lease(subnet: string, address: string, instanceId: string, subnetId: string): void {
  const node = { instanceId, subnetId };
  world.putLease(
    { 4: cidr(subnet) },
    { publicIps: { 4: ip(address) }, backendType: '', backendData: {}, node },
    86_400,
  );
}

function netConf(writer: 'node' | 'controller', type = 'aws-vpc'): void {
  world.setNetConf(JSON.stringify({ Network: '10.5.0.0/16', Backend: { Type: type, Writer: writer } }));
}

/** What node i-a finds, by group; endpoints and kernel left out. */
async function findings(): Promise<readonly Finding[]> {
  const command = parseAgentOptions({ argv: [], environment: {} });
  if (command.kind !== 'run') throw new Error(command.kind);
  const provider = cloud.provider('i-a');
  const subject = createSubject(
    {
      options: command.options,
      etcd: { endpoints: ['http://127.0.0.1:1'], prefix: '/coreos.com/network' },
      openStores: async () => createMemoryStores(world),
      openCloud: async ({ backend }) => (backend.type === 'alloc' ? undefined : { provider, tableIds }),
      host: {
        findExternalInterface: async () => ({
          ...{ name: 'eth0', index: 2, mtu: 9001 },
          ...{ addresses: { 4: ip('10.0.1.10') }, publicIps: { 4: ip('10.0.1.10') } },
        }),
        readSubnetFile: async () => ({
          ...{ networks: { 4: cidr('10.5.0.0/16') }, subnets: { 4: { ip: ip('10.5.1.1'), length: 24 } } },
          ...{ mtu: 9001, ipMasq: true },
        }),
      },
      programs: { run: () => Promise.reject(new Error('no program is started here')) },
      ...{ logger: silentLogger, clock: systemClock },
    },
    ending.signal,
  );
  const store = storeChecks(subject).filter(({ name }) => ['lease', 'controller', 'node report'].includes(name));
  const checks = [...store, ...netConfChecks(subject), ...cloudChecks(subject)];
  const report = await runChecks(checks, { clock: systemClock, deadlineMs: 5_000, signal: ending.signal });
  const all = report.flatMap((group) => group.findings);
  expect(isHelpful(all)).toBe(true);
  return all;
}

const finding = (check: string, status: Finding['status'], found = /./): object =>
  expect.objectContaining({ check, status, found: expect.stringMatching(found) });
const failures = (all: readonly Finding[]): readonly string[] =>
  all.filter(({ status }) => status === 'failed').map(({ check }) => check);

test('nothing fails where all is in place, and it is said why', async () => {
  const all = await findings();
  expect(failures(all)).toEqual([]);
  expect(all).toContainEqual(finding('lease', 'ok', /^10\.5\.1\.0\/24, as/));
  expect(all).toContainEqual(finding('route 10.5.1.0/24 in rtb-a', 'ok', /eni-a/));
  expect(all).toContainEqual(
    finding('tables', 'ok', /rtb-main \(the main table\), rtb-a \(associated explicitly\): named/),
  );
  expect(all).toContainEqual(finding('foreign routes', 'ok'));
});

test('it only reads', async () => {
  const before = world.revision;
  await findings();
  expect(world.revision).toBe(before);
  expect(cloud.count('create', 'replace', 'delete', 'prepare')).toBe(0);
});

describe('tables', () => {
  test('one that another node’s packets follow and nobody writes fails', async () => {
    tableIds = ['rtb-a'];
    expect(await findings()).toContainEqual(finding('serving tables', 'failed', /^rtb-main/));
  });

  test('found by itself, an agent writes its own only, and the controller those of all nodes', async () => {
    tableIds = [];
    expect(failures(await findings())).toEqual(['serving tables']);
    netConf('controller');
    world.putLeader({ holder: 'c', since: '2026-01-01T00:00:00Z' }, 60_000);
    expect(failures(await findings())).toEqual([]);
  });
});

describe('the writer', () => {
  beforeEach(() => netConf('controller'));

  test('must lead where there is one controller', async () => {
    expect(failures(await findings())).toEqual(['controller']);
  });

  test('leaves nodes without rights, which is no failure of theirs', async () => {
    world.putLeader({ holder: 'c', since: '2026-01-01T00:00:00Z' }, 60_000);
    for (const action of ['resolve', 'tables'] as const)
      cloud.inject({ action, error: denied(action), times: Number.POSITIVE_INFINITY });
    const all = await findings();
    expect(failures(all)).toEqual([]);
    expect(all).toContainEqual(finding('tables', 'warning', /not checked/));
  });

  test('where each node writes they need them', async () => {
    netConf('node');
    cloud.inject({ action: 'tables', error: denied('tables'), times: Number.POSITIVE_INFINITY });
    const all = await findings();
    expect(failures(all)).toContain('tables');
    expect(all).toContainEqual(finding('routes', 'warning', /not checked: the route tables is not known/));
  });
});

test('without a lease there are no routes to look for', async () => {
  world.deleteLease({ 4: cidr('10.5.1.0/24') });
  expect(failures(await findings())).toEqual(['lease', 'routes']);
});

test('a source/dest check that is on fails, told once, whoever writes', async () => {
  makeCloud({ forwards: false });
  expect(failures(await findings())).toEqual(['source/dest check']);
  netConf('controller');
  world.putLeader({ holder: 'c', since: '2026-01-01T00:00:00Z' }, 60_000);
  expect(failures(await findings())).toEqual(['source/dest check']);
});

test('a store that is away leaves the cloud unknown', async () => {
  world.setOutage('etcd is away');
  const all = await findings();
  expect(all).toContainEqual(finding('net-conf', 'failed', /etcd is away/));
  expect(all).toContainEqual(finding('metadata server', 'warning', /net-conf is not known/));
});

test('a metadata server that is away does not hide the lease: the address must do', async () => {
  const error = new FlannelVpcError('METADATA_UNAVAILABLE', 'no answer', { hint: 'Raise the hop limit.' });
  cloud.inject({ action: 'identify', error, times: Number.POSITIVE_INFINITY });
  const all = await findings();
  expect(failures(all)).toEqual(['metadata server']);
  expect(all).toContainEqual(expect.objectContaining({ check: 'metadata server', remedy: 'Raise the hop limit.' }));
});

test('a backend without a cloud has one line for it', async () => {
  netConf('node', 'alloc');
  const all = await findings();
  expect(all.filter(({ check }) => check === 'cloud')).toEqual([finding('cloud', 'ok')]);
  expect(failures(all)).toEqual([]);
});

function denied(action: string): FlannelVpcError {
  return new FlannelVpcError('PERMISSION_DENIED', `may not ${action}`, { hint: 'Allow it.', details: { action } });
}
