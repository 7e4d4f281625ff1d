/**
 * LocalStack, the emulator behind the EC2 proxy: started from the cached virtual environment, its state in a temporary folder
 * and in memory. It starts in seconds, so a test file shares one.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { assertInRig } from '../../fabric/rig.ts';
import { cacheFolder, localstackPython } from '../../fabric/tools.ts';

export interface LocalStack {
  /** Such as `http://127.0.0.1:4566`. */
  readonly url: string;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
}

export interface LocalStackOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly address?: string | undefined;
  /** Default: a free one. */
  readonly port?: number | undefined;
  /** Machine images that EC2 is to know. Default none: RunInstances takes any id. */
  readonly images?: readonly MachineImage[];
}

export interface MachineImage {
  readonly id: string;
  readonly name: string;
  /** Account that published it. */
  readonly owner: string;
  readonly architecture: 'x86_64' | 'arm64';
}

/** Milliseconds it may take; on two cores with fifty times their work a start has been seen to take 100 seconds. */
const startTimeoutMs = 240_000;

/** Starts it and waits until EC2 answers. @throws Error with the end of its output when it does not come up. */
export async function startLocalStack(options: LocalStackOptions = {}): Promise<LocalStack> {
  assertInRig();
  const { address = '127.0.0.1' } = options;
  const port = options.port ?? (await freePort(address));
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-localstack-'));
  await bringCatalog(folder);
  const images = options.images && (await writeImages(folder, options.images));
  const child = spawn(await localstackPython(), ['-m', 'localstack.runtime.main'], {
    cwd: folder,
    env: { ...environment(folder, `${address}:${port}`), ...images },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => {
      output = `${output}${part.toString()}`.slice(-4000);
    });
  }
  const stop = async () => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://${address}:${port}`;
  try {
    await untilAnswering(url, child);
    await keepCatalog(folder);
  } catch (error) {
    await stop();
    throw new Error(`LocalStack did not start: ${String(error)}\n${output}`);
  }
  return { url, stop };
}

function environment(folder: string, listen: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: folder,
    TMPDIR: folder,
    GATEWAY_LISTEN: listen,
    SERVICES: 'ec2,sts,iam',
    // Nothing of the network is to be asked or served but the API itself.
    DNS_ADDRESS: '0',
    DISABLE_EVENTS: '1',
    SKIP_SSL_CERT_DOWNLOAD: '1',
    // Host mode everywhere; inside a container it would take the container's own folders.
    OVERRIDE_IN_DOCKER: '0',
    FILESYSTEM_ROOT: folder,
    // A thousand images of no use here take seconds to load.
    MOTO_EC2_LOAD_DEFAULT_AMIS: 'false',
  };
}

/** Images as moto, which is LocalStack's EC2, reads them from a file. @returns the variable that names it. */
async function writeImages(folder: string, images: readonly MachineImage[]): Promise<NodeJS.ProcessEnv> {
  const path = join(folder, 'images.json');
  const entries = images.map(({ id, name, owner, architecture }) => ({
    ...{ ami_id: id, name, description: name, owner_id: owner, architecture, public: true },
    ...{ virtualization_type: 'hvm', hypervisor: 'xen', platform: null, state: 'available' },
    ...{ image_type: 'machine', image_location: name, root_device_type: 'ebs', root_device_name: '/dev/xvda' },
  }));
  await writeFile(path, JSON.stringify(entries));
  return { MOTO_AMIS_PATH: path };
}

/**
 * LocalStack reads the descriptions of all of AWS's services to make an index of them, which is half of its start. It is the same
 * each time, so it is kept beside LocalStack in the cache folder; its name holds the versions it was made from.
 */
async function bringCatalog(folder: string): Promise<void> {
  const target = join(folder, catalogPath);
  await mkdir(target, { recursive: true });
  for (const name of await catalogsIn(keptCatalogs())) {
    await cp(join(keptCatalogs(), name), join(target, name));
  }
}

async function keepCatalog(folder: string): Promise<void> {
  const kept = await catalogsIn(keptCatalogs());
  await mkdir(keptCatalogs(), { recursive: true });
  for (const name of await catalogsIn(join(folder, catalogPath))) {
    if (kept.includes(name)) continue;
    const part = join(keptCatalogs(), `${name}.part-${randomUUID()}`);
    await cp(join(folder, catalogPath, name), part);
    await rename(part, join(keptCatalogs(), name));
  }
}

/** Below FILESYSTEM_ROOT. */
const catalogPath = 'var/lib/localstack/cache';

function keptCatalogs(): string {
  return join(cacheFolder(), 'localstack-catalogs');
}

async function catalogsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => /^service-catalog-.*\.dill$/.test(name));
}

async function untilAnswering(url: string, child: ChildProcess): Promise<void> {
  const signal = AbortSignal.timeout(startTimeoutMs);
  for (;;) {
    const status = child.exitCode ?? child.signalCode;
    if (status !== null) throw new Error(`it ended with ${status}`);
    signal.throwIfAborted();
    const answered = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization:
          'AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0',
      },
      body: 'Action=DescribeVpcs&Version=2016-11-15',
      signal,
    }).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await delay(100, undefined, { signal });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  // It keeps nothing worth a clean ending, which takes seconds.
  child.kill('SIGKILL');
  await ended;
}

async function freePort(address: string): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen(0, address, () => resolve((server.address() as AddressInfo).port));
  const port = await promise;
  await new Promise<void>((done) => void server.close(() => done()));
  return port;
}
