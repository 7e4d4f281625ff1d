import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { SubnetFile } from '../../../host/host.ts';
import { formatSubnetFile, parseSubnetFile, readSubnetFile, writeSubnetFile } from '../../../host/subnet-file.ts';
import { type Logger, silentLogger } from '../../../src/core/log.ts';
import { cidr, ip } from './facts.ts';

const dualStack: SubnetFile = {
  networks: { 4: cidr('10.5.0.0/16'), 6: cidr('fd42::/48') },
  subnets: { 4: { ip: ip('10.5.42.1'), length: 24 }, 6: { ip: ip('fd42:0:0:7::1'), length: 64 } },
  mtu: 1500,
  ipMasq: false,
};

const dualStackText = `FLANNEL_NETWORK=10.5.0.0/16
FLANNEL_SUBNET=10.5.42.1/24
FLANNEL_IPV6_NETWORK=fd42::/48
FLANNEL_IPV6_SUBNET=fd42:0:0:7::1/64
FLANNEL_MTU=1500
FLANNEL_IPMASQ=false
`;

describe('the text of subnet.env', () => {
  it('is flannel’s, and read back', () => {
    expect(formatSubnetFile(dualStack)).toBe(dualStackText);
    expect(parseSubnetFile(dualStackText)).toEqual(dualStack);
  });

  it('has the lines of the families in use only', () => {
    const { 4: network } = dualStack.networks;
    const { 4: subnet } = dualStack.subnets;
    const file = {
      networks: { ...(network && { 4: network }) },
      subnets: { ...(subnet && { 4: subnet }) },
      mtu: 8951,
      ipMasq: true,
    };

    expect(formatSubnetFile(file)).toBe(
      'FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.42.1/24\nFLANNEL_MTU=8951\nFLANNEL_IPMASQ=true\n',
    );
  });

  it('may be written by hand', () => {
    expect(parseSubnetFile('# mine\nexport FLANNEL_SUBNET="10.5.42.1/24" # ours\n\nOTHER=1\n')).toEqual({
      networks: {},
      subnets: { 4: { ip: ip('10.5.42.1'), length: 24 } },
      mtu: 0,
      ipMasq: false,
    });
  });

  it.each([
    ['FLANNEL_SUBNET=10.5.33.1/24,10.5.34.1/24\n', 'FLANNEL_SUBNET'],
    ['FLANNEL_SUBNET=10.5.42.1\n', 'FLANNEL_SUBNET'],
    ['FLANNEL_SUBNET=fd42::1/64\n', 'FLANNEL_SUBNET'],
    ['FLANNEL_NETWORK=x\nFLANNEL_SUBNET=10.5.42.1/24\n', 'FLANNEL_NETWORK'],
    ['FLANNEL_SUBNET=10.5.42.1/24\nFLANNEL_MTU=big\n', 'FLANNEL_MTU'],
    ['FLANNEL_SUBNET=10.5.42.1/24\nFLANNEL_IPMASQ=yes\n', 'FLANNEL_IPMASQ'],
    ['FLANNEL_MTU=1500\n', 'no subnet'],
    ['', 'no subnet'],
    ['\u0000\u0001 rubbish', 'NAME=VALUE'],
  ])('is refused with its reason: %j', (text, reason) => {
    expect(() => parseSubnetFile(text)).toThrow(reason);
  });
});

describe('the file', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subnet-file-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is made with its folder, readable for all, and leaves nothing beside it', async () => {
    const path = join(folder, 'run', 'flannel', 'subnet.env');

    await writeSubnetFile(path, dualStack);

    expect(await readFile(path, 'utf8')).toBe(dualStackText);
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    expect(await readdir(join(folder, 'run', 'flannel'))).toEqual(['subnet.env']);
    expect(await readSubnetFile(path, silentLogger)).toEqual(dualStack);
  });

  it('is replaced as a whole: a reader with the old one open keeps the old text', async () => {
    const path = join(folder, 'subnet.env');
    await writeFile(path, 'FLANNEL_SUBNET=10.9.1.1/24\n');
    await writeFile(join(folder, '.subnet.env'), 'what a killed process left');
    const before = await stat(path);

    await writeSubnetFile(path, dualStack);

    expect((await stat(path)).ino).not.toBe(before.ino);
    expect(await readdir(folder)).toEqual(['subnet.env']);
    expect(await readFile(path, 'utf8')).toBe(dualStackText);
  });

  it('is not written when the text is the same; its time stamp says that this start has ended', async () => {
    const path = join(folder, 'subnet.env');
    await writeSubnetFile(path, dualStack);
    const old = new Date(Date.now() - 60_000);
    await utimes(path, old, old);
    const before = await stat(path);

    await writeSubnetFile(path, dualStack);

    const after = await stat(path);
    expect(after.ino).toBe(before.ino);
    expect(after.mtimeMs).toBeGreaterThan(before.mtimeMs);
  });

  it('is a preference: absent is nothing, rubbish is logged and nothing', async () => {
    const warnings: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`),
    };
    await writeFile(join(folder, 'bad.env'), 'FLANNEL_SUBNET=10.5.33.1/24,10.5.34.1/24\n');

    expect(await readSubnetFile(join(folder, 'absent.env'), logger)).toBeUndefined();
    expect(warnings).toEqual([]);
    expect(await readSubnetFile(join(folder, 'bad.env'), logger)).toBeUndefined();
    expect(warnings.join()).toContain('FLANNEL_SUBNET');
  });

  it.each([
    ['FLANNEL_NETWORK=10.5.0.0/16,10.6.0.0/16', 'FLANNEL_NETWORK'],
    ['FLANNEL_MTU=big', 'FLANNEL_MTU'],
    ['FLANNEL_IPMASQ=yes', 'FLANNEL_IPMASQ'],
  ])('is one for the subnet it names, whatever else is wrong: %s', async (line, named) => {
    const warnings: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`),
    };
    await writeFile(join(folder, 'odd.env'), `FLANNEL_SUBNET=10.5.42.1/24\n${line}\n`);
    await writeFile(join(folder, 'rubbish.env'), `FLANNEL_SUBNET=10.5.42.1/24\n${line}\nrubbish\n`);

    expect(await readSubnetFile(join(folder, 'odd.env'), logger)).toMatchObject({
      subnets: { 4: { ip: ip('10.5.42.1'), length: 24 } },
    });
    expect(warnings.join()).toMatch(new RegExp(`only the subnet.*${named}`));
    expect(await readSubnetFile(join(folder, 'rubbish.env'), logger)).toBeUndefined();
  });
});
