/** An access key in net-conf, as flannel's ali-vpc takes it, and the built program's whole output: it shows nowhere. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { AccessKey } from '../../clouds/alibaba/keys.ts';
import { type AlibabaWorld, createAlibabaWorld } from '../../clouds/alibaba/world.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { type Ran, run } from './program.ts';

const prefix = '/coreos.com/network';
let etcd: EtcdServer;
let world: AlibabaWorld;
let folder: string;
let good: AccessKey;
/** Everything that the program printed. */
let printed = '';

beforeAll(async () => {
  etcd = await startEtcd();
  world = await createAlibabaWorld();
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-ali-keys-'));
  good = world.keys.issue('controller/netconf');
});
afterAll(async () => {
  await world?.stop();
  await etcd?.stop();
  if (folder) await rm(folder, { recursive: true });
});
beforeEach(() => {
  printed = '';
  world.resetRequests();
});

function netConf({ accessKeyId, accessKeySecret }: AccessKey): string {
  const backend = { Type: 'ali-vpc', Writer: 'controller', RegionID: world.region, RouteTableID: world.tableIds };
  const key = { AccessKeyID: accessKeyId, AccessKeySecret: accessKeySecret };
  return JSON.stringify({ Network: '10.244.0.0/16', Backend: { ...backend, ...key } });
}

async function here(...args: readonly string[]): Promise<Ran> {
  const env = { FLANNEL_VPC_ALIBABA_ENDPOINT: world.url, DEBUG: '*' };
  const ran = await run([...args, `--etcd-endpoints=${etcd.endpoint}`], { env });
  printed += ran.stdout + ran.stderr;
  return ran;
}
function expectHidden(...keys: readonly AccessKey[]): void {
  expect(printed.length).toBeGreaterThan(100);
  for (const { accessKeyId, accessKeySecret } of keys) {
    expect(printed).not.toContain(accessKeyId);
    expect(printed).not.toContain(accessKeySecret);
  }
}

describe('an access key in net-conf', () => {
  it('is used, and shown by no command', async () => {
    const file = join(folder, 'net-conf.json');
    await writeFile(file, netConf(good));
    const check = await run(['netconf', 'check', file]);
    expect(check.code).toBe(0);
    printed += check.stdout;
    expect((await here('netconf', 'set', file)).code).toBe(0);
    await here('netconf', 'get');
    for (const command of ['plan', 'status', 'routes', 'leases']) await here(command);
    await here('plan', '-o', 'json');

    expect(world.requests().map(({ caller, outcome }) => `${caller} ${outcome}`)).toContain('controller/netconf ok');
    expect(await readFile(file, 'utf8')).toContain(good.accessKeySecret);
    expectHidden(good);
  });

  it('that is replaced is told to have changed, and that is wrong to be wrong, without being shown', async () => {
    const wrong = { accessKeyId: 'LTAI5tNobodysKeyAtAll', accessKeySecret: 'nObOdYsSeCrEt0123456789' };
    const file = join(folder, 'net-conf.json');
    await writeFile(file, netConf(wrong));
    const set = await here('netconf', 'set', file);
    const plan = await here('plan');

    expect(set.stdout).toContain('~ a hidden value');
    expect(plan.stdout + plan.stderr).toContain('InvalidAccessKeyId.NotFound');
    expectHidden(good, wrong);
  });

  it('of which a half is missing is a problem that does not show the other', async () => {
    const half = { accessKeyId: '', accessKeySecret: 'hAlFaSeCrEt0123456789' };
    await etcd.put(`${prefix}/config`, netConf(half));
    const plan = await here('plan');

    expect(plan.code).toBe(1);
    expect(plan.stdout + plan.stderr).toContain('both AccessKeyID and AccessKeySecret');
    expect(printed).not.toContain(half.accessKeySecret);
  });
});
