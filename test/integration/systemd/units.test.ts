/** The units of deploy/systemd, as systemd itself judges them. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runToEnd } from '../../fabric/process.ts';
import { assertInRig } from '../../fabric/rig.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** Exposure by `systemd-analyze security`, from 0 (none) to 10; systemd's own words: below 2 "OK", up to 5 "MEDIUM". */
const mostExposure = { 'flannel-vpc-agent': 2.6, 'flannel-vpc-controller': 1.6 };
const names = Object.keys(mostExposure) as (keyof typeof mostExposure)[];

let folder: string;

beforeAll(async () => {
  assertInRig();
  folder = await mkdtemp(join(tmpdir(), 'units-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** A copy of the unit, changed. */
async function unitFile(name: string, change: (text: string) => string = (text) => text): Promise<string> {
  const path = join(folder, `${name}.service`);
  await writeFile(path, change(await readFile(join(root, `deploy/systemd/${name}.service`), 'utf8')));
  return path;
}

/** With the project where the units expect it. */
async function verify(path: string): Promise<{ readonly code: number | string; readonly stderr: string }> {
  const script =
    'mount -t tmpfs tmpfs /opt; mkdir /opt/flannel-vpc; mount --bind "$0" /opt/flannel-vpc; exec systemd-analyze verify --man=no "$1"';
  return await runToEnd(['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', script, root, path]);
}

async function exposure(path: string): Promise<number> {
  const { stdout } = await runToEnd(['systemd-analyze', 'security', '--offline=yes', '--no-pager', path]);
  return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
}

describe.each(names)('%s', (name) => {
  test('is a unit without mistakes', async () => {
    expect(await verify(await unitFile(name))).toMatchObject({ code: 0, stderr: '' });
    const wrong = await verify(await unitFile(name, (text) => text.replace('ProtectSystem=', 'ProtectSysten=')));
    expect(wrong.stderr).toContain('ProtectSysten');
  });

  test('leaves its program little', async () => {
    expect(await exposure(await unitFile(name))).toBeLessThanOrEqual(mostExposure[name]);
    const wider = await unitFile(name, (text) => text.replace(/^CapabilityBoundingSet=.*\n/m, ''));
    expect(await exposure(wider)).toBeGreaterThan(mostExposure[name]);
  });
});

test('the agent comes before what starts containers, and those wait until it is ready', async () => {
  const text = await readFile(join(root, 'deploy/systemd/flannel-vpc-agent.service'), 'utf8');
  const before = /^Before=(.*)$/m.exec(text)?.[1]?.split(' ');
  expect(before).toEqual(expect.arrayContaining(['docker.service', 'containerd.service', 'kubelet.service']));
  expect(text).toMatch(/^Type=notify$/m);
  expect(text).toMatch(/^After=network-online\.target$/m);
});
