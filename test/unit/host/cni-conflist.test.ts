import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type CniNetwork,
  formatConflist,
  handsOutFrom,
  withdrawConflist,
  writeConflist,
} from '../../../host/cni-conflist.ts';
import { cidr } from './facts.ts';

const dualStack: CniNetwork = {
  bridge: 'cni0',
  mtu: 9001,
  subnets: { 4: cidr('10.244.7.0/24'), 6: cidr('fd42:0:0:7::/64') },
  networks: { 4: cidr('10.244.0.0/16'), 6: cidr('fd42::/48') },
  subnetFile: '/run/flannel/subnet.env',
};

describe('the text of the conflist', () => {
  it('names the standard plugins alone, and leaves masquerade to the agent', () => {
    expect(JSON.parse(formatConflist(dualStack))).toEqual({
      cniVersion: '0.4.0',
      name: 'cbr0',
      plugins: [
        {
          ...{ type: 'bridge', bridge: 'cni0', isGateway: true, isDefaultGateway: true },
          ...{ hairpinMode: true, ipMasq: false, mtu: 9001 },
          ipam: {
            type: 'host-local',
            ranges: [
              [{ subnet: '10.244.7.0/24', gateway: '10.244.7.1' }],
              [{ subnet: 'fd42:0:0:7::/64', gateway: 'fd42:0:0:7::1', rangeEnd: 'fd42::7:ffff:ffff:ffff:fffe' }],
            ],
            routes: [
              { dst: '10.244.0.0/16', gw: '10.244.7.1' },
              { dst: 'fd42::/48', gw: 'fd42:0:0:7::1' },
            ],
            resolvConf: '/run/flannel/subnet.env',
          },
        },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    });
  });

  it('has the families in use only', () => {
    const { ipam } = JSON.parse(
      formatConflist({ ...dualStack, subnets: { 6: cidr('fd42:0:0:7::/64') }, networks: { 6: cidr('fd42::/48') } }),
    ).plugins[0];

    expect(ipam.ranges).toHaveLength(1);
    expect(ipam.ranges[0]).toMatchObject([{ subnet: 'fd42:0:0:7::/64' }]);
    expect(ipam.routes).toEqual([{ dst: 'fd42::/48', gw: 'fd42:0:0:7::1' }]);
  });
});

describe('whose subnets a conflist is of', () => {
  const ipv4Only = formatConflist({ ...dualStack, subnets: { 4: cidr('10.244.7.0/24') } });

  it.each([
    ['its own', formatConflist(dualStack), true],
    ['its own in another order and spelling', conflistOf('FD42:0:0:7:0::/64', '10.244.7.0/24'), true],
    ['its own with another MTU and bridge', formatConflist({ ...dualStack, mtu: 1500, bridge: 'br1' }), true],
    ['another subnet', formatConflist({ ...dualStack, subnets: { 4: cidr('10.244.8.0/24') } }), false],
    ['one family less', ipv4Only, false],
    ['one more', conflistOf('10.244.7.0/24', 'fd42:0:0:7::/64', '10.244.9.0/24'), false],
    ['none', '{"plugins":[{"type":"flannel"}]}', false],
    ['not a network', conflistOf('10.244.7.0/24', 'fd42:0:0:7::/64', 'x'), false],
    ['half a file', formatConflist(dualStack).slice(0, 200), false],
    ['no conflist', '[]', false],
  ])('%s', (_, text, expected) => {
    expect(handsOutFrom(text, dualStack.subnets)).toBe(expected);
  });

  function conflistOf(...subnets: readonly string[]): string {
    return JSON.stringify({
      plugins: [{ type: 'bridge', ipam: { type: 'host-local', ranges: subnets.map((subnet) => [{ subnet }]) } }],
    });
  }
});

describe('the file', () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cni-conf-'));
    path = join(folder, 'net.d', '10-flannel-vpc.conflist');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is made with its folder, readable for all, and leaves nothing beside it', async () => {
    expect(await writeConflist(path, dualStack)).toBe(true);

    expect(await readFile(path, 'utf8')).toBe(formatConflist(dualStack));
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    expect(await readdir(join(folder, 'net.d'))).toEqual(['10-flannel-vpc.conflist']);
  });

  it('is not touched when the text is the same', async () => {
    await writeConflist(path, dualStack);
    const before = await stat(path);

    expect(await writeConflist(path, dualStack)).toBe(false);

    const { ino, mtimeMs, ctimeMs } = await stat(path);
    expect({ ino, mtimeMs, ctimeMs }).toEqual({ ino: before.ino, mtimeMs: before.mtimeMs, ctimeMs: before.ctimeMs });
  });

  it('is never half written under a name that a runtime takes', async () => {
    // A folder in the file's place: everything works but the last step, and what was written stays to be seen.
    await mkdir(path, { recursive: true });

    await expect(writeConflist(path, dualStack)).rejects.toThrow('EISDIR');

    const [temporary = ''] = (await readdir(join(folder, 'net.d'))).filter(
      (name) => name !== '10-flannel-vpc.conflist',
    );
    expect(temporary).not.toBe('');
    expect(['.conf', '.conflist', '.json']).not.toContain(extname(temporary));
  });

  it('of another subnet is taken away, its own is not', async () => {
    expect(await withdrawConflist(path, dualStack.subnets)).toBe(false);
    await writeConflist(path, dualStack);

    expect(await withdrawConflist(path, dualStack.subnets)).toBe(false);
    expect(await withdrawConflist(path, { 4: cidr('10.244.8.0/24') })).toBe(true);

    expect(await readdir(join(folder, 'net.d'))).toEqual([]);
  });

  it('that can’t be read is taken for another’s and goes', async () => {
    await writeConflist(path, dualStack);
    await writeFile(path, 'rubbish');

    expect(await withdrawConflist(path, dualStack.subnets)).toBe(true);
  });
});
