/** The image, as tools/image has built it from the Dockerfile: what is in it, that it runs, and as whom. */
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { type Lock, readLock } from '../../tools/locked-packages.ts';
import { nodeParts } from '../../tools/node-parts.ts';
import { type RunResult, run, runToEnd, start } from '../fabric/process.ts';
import { type Bill, namedInBundle, nodeOf, purlOf, readBill, unlisted } from '../support/bill.ts';
import { cyclonedxErrors } from '../support/cyclonedx.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const image = join(root, 'dist-image/rootfs');
const program = '/opt/flannel-vpc/bin/flannel-vpc';
const documents = join(image, 'usr/share/doc/flannel-vpc');
const node = `/opt/flannel-vpc/node_modules/node-linux-${process.arch}/bin/node`;

const settingsSchema = z.object({
  OCIv1: z.object({
    config: z.strictObject({
      Env: z.array(z.string()),
      Entrypoint: z.array(z.string()),
      Labels: z.record(z.string(), z.string()),
    }),
  }),
});

let lock: Lock;
let bill: Bill;
let billFile: string;

beforeAll(async () => {
  lock = await readLock(root);
  const [name = '', ...others] = (await readdir(documents)).filter((each) => each.endsWith('.cdx.json'));
  expect(others).toEqual([]);
  billFile = join(documents, name);
  bill = await readBill(billFile);
});

/** What runs a program of the image, as its root. `before` are words of setpriv, such as `--reuid=65532`. */
function inImage(argv: readonly string[], before: readonly string[] = []): readonly string[] {
  const mounts = 'mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/run" && exec "$@"';
  const own = ['unshare', '--mount', '--net', '--propagation', 'private', '--', 'sh', '-euc', mounts, image];
  return [...own, 'chroot', image, 'setpriv', '--no-new-privs', ...before, '--', ...argv];
}

async function runInImage(argv: readonly string[], before: readonly string[] = []): Promise<RunResult> {
  return await runToEnd(inImage(argv, before));
}

describe('the settings', () => {
  it('are an entry point and labels: no other user, no port, no check of its own', async () => {
    const text = await readFile(join(root, 'dist-image/image.json'), 'utf8');
    const { Entrypoint, Env, Labels } = settingsSchema.parse(JSON.parse(text)).OCIv1.config;
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };

    expect(Entrypoint).toEqual([program]);
    expect(Env).toEqual([expect.stringMatching(/^PATH=/)]);
    expect(Labels).toMatchObject({
      'org.opencontainers.image.title': 'flannel-vpc',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$|^unknown$/),
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
  });
});

describe('the files', () => {
  it('of the program are what it needs, and no more', async () => {
    const folder = join(image, 'opt/flannel-vpc');

    expect((await readdir(folder)).sort()).toEqual(['bin', 'dist', 'node_modules']);
    expect(await readdir(join(folder, 'bin'))).toEqual(['flannel-vpc']);
    expect((await readdir(join(folder, 'node_modules'), { recursive: true })).sort()).toEqual([
      `node-linux-${process.arch}`,
      `node-linux-${process.arch}/LICENSE`,
      `node-linux-${process.arch}/bin`,
      `node-linux-${process.arch}/bin/node`,
    ]);
  });

  it('have no tool of the build, and what the agent starts', async () => {
    const found = async (name: string): Promise<boolean> => {
      const { code } = await runInImage(['sh', '-c', 'command -v "$0" >/dev/null', name]);
      return code === 0;
    };

    for (const tool of ['npm', 'node', 'make', 'gcc', 'git'])
      expect({ tool, found: await found(tool) }).toEqual({ tool, found: false });
    for (const tool of ['ip', 'iptables', 'ip6tables', 'iptables-restore', 'nft', 'ping'])
      expect({ tool, found: await found(tool) }).toEqual({ tool, found: true });
    await access(join(image, 'etc/ssl/certs/ca-certificates.crt'));
  });

  it('list the Debian packages that are installed', async () => {
    const { stdout } = await runInImage(['dpkg-query', '--show']);

    expect(stdout.split('\n').length).toBeGreaterThan(80);
    expect(await readFile(join(documents, 'debian-packages.txt'), 'utf8')).toBe(stdout);
  });
});

describe('the program', () => {
  it('runs as root, and as a user who may do nothing', async () => {
    const nobody = ['--reuid=65532', '--regid=65532', '--clear-groups', '--bounding-set=-all', '--inh-caps=-all'];

    for (const rights of [[], nobody]) {
      const { code, stdout, stderr } = await runInImage([program, 'version'], rights);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/^flannel-vpc \d+\.\d+\.\d+\n$/);
    }
    expect((await runInImage(['id', '-u'], nobody)).stdout).toBe('65532\n');
  });

  it('is a controller that needs no rights: it comes as far as asking the store', async () => {
    const argv = [program, 'controller', '--etcd-endpoints=http://127.0.0.1:2379'];
    const controller = start(
      inImage(argv, ['--reuid=65532', '--regid=65532', '--clear-groups', '--bounding-set=-all']),
    );

    await controller.waitForLog(/etcd/, 30_000);
    expect(await controller.kill('SIGTERM')).toBe(0);
    expect(controller.log()).not.toMatch(/EACCES|EPERM|ENOENT/);
  });

  it('may change links and rules with two capabilities, and not without them', async () => {
    const addLink = ['sh', '-euc', 'ip link add cni0 type bridge && iptables -w -t nat -N FLANNEL-POSTRTG'];

    expect(await runInImage(addLink, ['--bounding-set=-all,+net_admin,+net_raw'])).toMatchObject({ code: 0 });
    const without = await runInImage(addLink, ['--bounding-set=-all,+net_raw']);
    expect(without.code).not.toBe(0);
    expect(without.stderr).toMatch(/not permitted/);
  });
});

describe('the bill of materials', () => {
  it('is CycloneDX 1.6', async () => {
    expect(await cyclonedxErrors(JSON.parse(await readFile(billFile, 'utf8')))).toEqual([]);
  });

  it('lists the packages that the bundle in the image shows, and would be found out', async () => {
    const named = await namedInBundle(join(image, 'opt/flannel-vpc/dist'));

    expect(named.length).toBeGreaterThan(50);
    expect(unlisted(bill, named, lock)).toEqual([]);
    const wrong: Bill = { components: bill.components.filter(({ name }) => name !== 'prom-client') };
    expect(unlisted(wrong, named, lock)).toEqual([purlOf(lock, 'node_modules/prom-client')]);
  });

  it('lists the Node.js that is there, and its parts', async () => {
    const { stdout } = await runInImage([node, '-p', 'JSON.stringify(process.versions)']);
    const versions = JSON.parse(stdout);

    expect(nodeOf(bill).version).toBe(versions.node);
    expect(nodeOf(bill).components?.map(({ purl }) => purl)).toEqual(nodeParts(versions).map(({ purl }) => purl));
    expect(nodeParts(versions).length).toBeGreaterThan(15);
  });

  it('has the licence of everything in it beside it', async () => {
    const licences = await readFile(join(documents, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    const missing = bill.components.filter(({ purl, version }) => {
      const name = decodeURIComponent(purl.slice('pkg:npm/'.length, purl.lastIndexOf('@')));
      return !licences.includes(name.startsWith('node-linux-') ? `Node.js ${version}` : `\n${name} ${version} (`);
    });

    expect(missing).toEqual([]);
    expect(licences).toContain('OpenSSL');
    expect(await run(['cat', join(documents, 'LICENSE')])).toBe(await readFile(join(root, 'LICENSE'), 'utf8'));
  });
});
