/** `leases release|reserve` and `netconf`, as the built program on a real etcd. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { type Ran, run, runOnTerminal } from './program.ts';

const prefix = '/coreos.com/network';
const netConf = '{"Network": "10.5.0.0/16", "Backend": {"Type": "alloc"}}';
let etcd: EtcdServer;
let folder: string;

beforeAll(async () => {
  etcd = await startEtcd();
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-operator-'));
});
afterAll(async () => {
  await etcd?.stop();
  if (folder) await rm(folder, { recursive: true });
});
beforeEach(async () => {
  await etcd.etcdctl('del', '--prefix', prefix);
  await etcd.put(`${prefix}/config`, netConf);
});

const here = (...args: string[]): Promise<Ran> => run([...args, `--etcd-endpoints=${etcd.endpoint}`]);
const lease = (subnet: string): string => `${prefix}/subnets/${subnet}`;

async function stored(key: string): Promise<string | undefined> {
  return (await etcd.keys(key)).find((entry) => entry.key === key)?.value;
}

async function file(text: string): Promise<string> {
  const path = join(folder, 'net-conf.json');
  await writeFile(path, text);
  return path;
}

describe('leases release', () => {
  beforeEach(async () => {
    const value =
      '{"PublicIP":"10.0.1.7","PublicIPv6":null,"FlannelVPC":{"instanceId":"i-07","nodeName":"ip-10-0-1-7"}}';
    await etcd.put(lease('10.5.42.0-24'), value, 3_600);
    await etcd.put(lease('10.5.50.0-24&fd42:0:0:7::-64'), '{"PublicIP":"10.0.1.8","PublicIPv6":"fd00::8"}', 3_600);
  });

  it('says whose lease it is, and ends it', async () => {
    const ran = await here('leases', 'release', '10.5.42.0/24', '--yes');
    expect(ran).toMatchObject({ code: 0, stdout: 'ended the lease of 10.5.42.0/24\n' });
    expect(ran.stderr).toContain('lease 10.5.42.0/24 of i-07 (ip-10-0-1-7, 10.0.1.7)');
    expect(ran.stderr).toContain('takes the same subnet again');
    expect(await stored(lease('10.5.42.0-24'))).toBeUndefined();
  });

  it.each(['10.5.50.0/24,fd42:0:0:7::/64', 'fd42:0:0:7::/64'])(
    'finds a lease of both families by %s',
    async (subnet) => {
      const ran = await here('leases', 'release', '--yes', subnet);
      expect(ran).toMatchObject({ code: 0, stdout: 'ended the lease of 10.5.50.0/24,fd42:0:0:7::/64\n' });
      expect(await etcd.keys(lease('10.5.50.0'))).toEqual([]);
    },
  );

  it('names what is there where the subnet is nobody’s', async () => {
    const near = await here('leases', 'release', '10.5.43.0/24', '--yes');
    expect(near).toMatchObject({ code: 1, stdout: '' });
    expect(near.stderr).toContain('there is no lease of 10.5.43.0/24\n');
    expect(near.stderr).toContain('There are 2; near it 10.5.42.0/24 and 10.5.50.0/24,fd42:0:0:7::/64.');
    const wider = await here('leases', 'release', '10.5.42.0/23', '--yes');
    expect(wider.stderr).toContain('It overlaps the lease of 10.5.42.0/24.');
  });

  it('changes nothing where nobody can be asked', async () => {
    const ran = await here('leases', 'release', '10.5.42.0/24');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('Give --yes to go ahead without a question.');
    expect(await stored(lease('10.5.42.0-24'))).toBeDefined();
  });

  it.each([
    ['n\n', 1, 'nothing was changed'],
    ['\n', 1, 'nothing was changed'],
    ['\u0004', 1, 'nothing was changed'],
    ['\u0003', 1, 'interrupted'],
    ['y\n', 0, 'ended the lease'],
  ])('asks on a terminal, and %j means what it says', async (answer, code, text) => {
    const args = ['leases', 'release', '10.5.42.0/24', `--etcd-endpoints=${etcd.endpoint}`];
    const ran = await runOnTerminal(args, { stdin: answer });
    expect(ran.stdout).toContain('End the lease of 10.5.42.0/24? [y/N]');
    expect(ran.stdout).toContain(text);
    expect(ran.code).toBe(code);
    expect((await stored(lease('10.5.42.0-24'))) === undefined).toBe(code === 0);
  });

  it('an environment does not say yes', async () => {
    const env = { FLANNELD_YES: 'true', FLANNELD_ETCD_ENDPOINTS: etcd.endpoint };
    expect((await run(['leases', 'release', '10.5.42.0/24'], { env })).code).toBe(1);
    expect(await stored(lease('10.5.42.0-24'))).toBeDefined();
  });
});

describe('leases reserve', () => {
  it('keeps a free subnet for an address, without an end', async () => {
    const ran = await here('leases', 'reserve', '10.5.7.0/24', '--public-ip', '10.0.1.9');
    expect(ran).toMatchObject({ code: 0, stdout: 'reserved 10.5.7.0/24 of 10.0.1.9, reserved\n' });
    const [entry] = await etcd.keys(lease('10.5.7.0-24'));
    expect(entry).toMatchObject({ lease: '0', value: '{"PublicIP":"10.0.1.9","PublicIPv6":null}' });
  });

  it('pins a lease that stands as it is', async () => {
    await etcd.put(lease('10.5.42.0-24'), '{"PublicIP":"10.0.1.7","Other":1}', 3_600);
    expect((await here('leases', 'reserve', '10.5.42.0/24', '--public-ip=10.0.1.7')).code).toBe(0);
    const [entry] = await etcd.keys(lease('10.5.42.0-24'));
    expect(entry).toMatchObject({ lease: '0', value: '{"PublicIP":"10.0.1.7","Other":1}' });
  });

  it.each([
    [['10.5.42.0/24', '--public-ip=10.0.1.8'], 1, 'somebody else holds the lease 10.5.42.0/24 of 10.0.1.7'],
    [['10.5.8.0/24'], 1, 'Give the address of the node'],
    [['10.5.8.0/25', '--public-ip=10.0.1.8'], 1, 'Give a /24 of 10.5.0.0/16.'],
    [['10.6.8.0/24', '--public-ip=10.0.1.8'], 1, 'is not what a node could lease'],
    [['10.5.8.0/24', '--public-ip=fd00::1'], 2, '"fd00::1" is no IPv4 address'],
    [['10.5.8.0'], 2, '"10.5.8.0" is no subnet'],
    [['10.5.8.0/24,10.5.9.0/24'], 2, 'names two IPv4 subnets'],
    [[], 2, 'SUBNET is missing'],
  ])('refuses %j', async (args, code, text) => {
    await etcd.put(lease('10.5.42.0-24'), '{"PublicIP":"10.0.1.7"}', 3_600);
    const before = await etcd.revision();
    const ran = await here('leases', 'reserve', ...args);
    expect(ran.stderr).toContain(text);
    expect(ran.code).toBe(code);
    expect(await etcd.revision()).toBe(before);
  });
});

describe('netconf', () => {
  it('get prints what is stored', async () => {
    expect(await here('netconf', 'get')).toMatchObject({ code: 0, stdout: `${netConf}\n`, stderr: '' });
  });

  it('get hides an access key, which "set" then does not take for one', async () => {
    const key = { AccessKeyID: 'LTAI5tExample', AccessKeySecret: 'sEcReT0123456789' };
    const text = JSON.stringify({ Network: '10.5.0.0/16', Backend: { Type: 'ali-vpc', ...key } });
    await etcd.put(`${prefix}/config`, text);
    const ran = await here('netconf', 'get');
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('secrets are hidden') });
    expect(ran.stdout).toContain('"AccessKeySecret":"[secret]"');
    expect(JSON.stringify(ran)).not.toMatch(/LTAI5t|sEcReT0/);
    const hidden = await file(ran.stdout);
    expect(await here('netconf', 'set', hidden)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('AccessKeyID'),
    });
  });

  it('get fails where nothing is stored', async () => {
    await etcd.delete(`${prefix}/config`);
    const ran = await here('netconf', 'get');
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain(`no net-conf is stored in etcd ${etcd.endpoint}, prefix ${prefix}`);
  });

  it('set stores a sound one and says what changes', async () => {
    const text = '{"Network": "10.5.0.0/16", "EnableNFTables": true, "Backend": {"Type": "alloc"}}\n';
    const ran = await here('netconf', 'set', await file(text));
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('stored\n- rules: iptables\n+ rules: nftables\n');
    expect(await stored(`${prefix}/config`)).toBe(text);
    const again = await here('netconf', 'set', await file(text));
    expect(again).toMatchObject({ code: 0, stdout: 'this net-conf is stored already; nothing was changed\n' });
  });

  it('set reads standard input, and the first one needs none before it', async () => {
    await etcd.delete(`${prefix}/config`);
    const args = ['netconf', 'set', '-', `--etcd-endpoints=${etcd.endpoint}`];
    expect(await run(args, { stdin: netConf })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('stored; there was none before\n+ IPv4: network 10.5.0.0/16'),
    });
    expect(await stored(`${prefix}/config`)).toBe(netConf);
  });

  it('set lists all problems at once and changes nothing', async () => {
    const ran = await here('netconf', 'set', await file('{"Network": "10.5.0.0", "Backend": {"Type": "aws"}}'));
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toMatch(/problem: Network: .*\n.*problem: Backend\.Type: .*\n/);
    expect(await stored(`${prefix}/config`)).toBe(netConf);
  });

  it('set refuses what leases that stand do not fit, unless it is forced', async () => {
    await etcd.put(lease('10.5.42.0-24'), '{"PublicIP":"10.0.1.7"}', 3_600);
    const other = await file('{"Network": "10.5.0.0/16", "SubnetLen": 25, "Backend": {"Type": "alloc"}}');
    const ran = await here('netconf', 'set', other);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('problem: leases that stand do not fit it: 10.5.42.0/24\n');
    expect(await stored(`${prefix}/config`)).toBe(netConf);
    expect((await here('netconf', 'set', '--force', other)).code).toBe(0);
    expect(await stored(`${prefix}/config`)).toContain('"SubnetLen": 25');
  });

  it('check needs no etcd', async () => {
    const args = ['netconf', 'check', await file(netConf)];
    expect(await run(args)).toMatchObject({ code: 0, stdout: expect.stringContaining('IPv4: network 10.5.0.0/16') });
    expect((await run(['netconf', 'check', await file('{}')])).code).toBe(2);
  });
});

describe('what goes wrong', () => {
  it('an etcd that is not there is said within seconds', async () => {
    const ran = await run(['netconf', 'get', '--etcd-endpoints=http://127.0.0.1:9']);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(/^flannel-vpc: can't read net-conf at http:\/\/127\.0\.0\.1:9: .*\n.*--etcd-endpoints/);
    expect(ran.ms).toBeLessThan(20_000);
  });

  it.each([
    [['leases', 'relase', '10.5.1.0/24'], 'leases: unknown verb "relase"; did you mean release?'],
    [['netconf', 'get', 'more'], 'netconf get: "more" is one argument too many'],
    [['netconf'], 'netconf: give one of check, get, set'],
    [['netconf', 'set', '-', '--forse'], 'did you mean --force?'],
    [['help', 'leeses'], 'unknown command "leeses"; did you mean leases?'],
  ])('%j is a usage error', async (args, text) => {
    const ran = await here(...args);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(text);
  });

  it.each([
    [['leases', 'release', '--help'], 'Usage: flannel-vpc leases release SUBNET [flags]'],
    [['help', 'netconf', 'set'], 'Usage: flannel-vpc netconf set FILE [flags]'],
    [['netconf', '-h'], 'Usage: flannel-vpc netconf check FILE'],
  ])('%j explains', async (args, text) => {
    expect(await run(args)).toMatchObject({ code: 0, stdout: expect.stringContaining(text), stderr: '' });
  });
});
