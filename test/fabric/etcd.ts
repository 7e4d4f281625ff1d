/**
 * A real etcd for tests: started from the cached binary, with its data in a temporary folder, on ports of its own.
 *
 * `kill()` is kill -9 and `restart()` starts again on the same data, which is what a crashed machine does. With `command`
 * (such as `['ip', 'netns', 'exec', NAME]`) the server and every etcdctl run inside that namespace.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { CertificateRequest } from './certificates.ts';
import { createEtcdCertificates, type EtcdCertificates } from './etcd-certificates.ts';
import { etcdBinary, etcdctlBinary } from './tools.ts';

const run = promisify(execFile);

export interface EtcdServerOptions {
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** Client port. Default: a free one, or 2379 where `command` puts the server into a namespace of its own. */
  readonly clientPort?: number;
  /** Peer port. Default: a free one, or 2380 with `command`. */
  readonly peerPort?: number;
  /** Arguments put before the program, to run it in another namespace. */
  readonly command?: readonly string[];
  /**
   * HTTPS only, with a certificate for `host` made on the spot, or a wrong one as `server` says; `clientAuth` also asks clients for one, and
   * `revocable` refuses those that their authority has taken back.
   */
  readonly tls?: {
    readonly clientAuth: boolean;
    readonly server?: Partial<Pick<CertificateRequest, 'hosts' | 'valid'>>;
    readonly revocable?: boolean;
  };
  /** Switches authentication on: a root user, and one user that may read and write keys below `prefix` only. */
  readonly user?: { readonly name: string; readonly password: string; readonly prefix: string };
  /** The same with these users, each with a role of its own. */
  readonly users?: readonly EtcdUser[];
  /** More of etcd's own arguments. */
  readonly args?: readonly string[];
}

/** A user with a role of the same name. */
export interface EtcdUser {
  readonly name: string;
  readonly password: string;
  readonly rights: readonly EtcdRight[];
}

/** One permission of a role: for a key, or, where it ends in a slash, all keys that begin with it. */
export interface EtcdRight {
  readonly key: string;
  readonly may: 'read' | 'write' | 'readwrite';
}

export interface EtcdKey {
  readonly key: string;
  readonly value: string;
  /** etcd lease id in decimal; '0' without one. */
  readonly lease: string;
  readonly version: number;
  readonly modRevision: number;
}

export interface EtcdServer {
  /** Such as `http://127.0.0.1:34567`. */
  readonly endpoint: string;
  /** Files for clients of a TLS server. */
  readonly certificates: EtcdCertificates | undefined;
  readonly pid: number | undefined;
  /** Runs etcdctl against this server, as root where there are users, and gives its output. */
  etcdctl(...args: string[]): Promise<string>;
  /** Gives the role this permission, in place of another one for the same key. */
  grant(role: string, right: EtcdRight): Promise<void>;
  /** Takes the permission for the key away. */
  revokeRight(role: string, key: string): Promise<void>;
  /** Puts a key, under a fresh etcd lease when a TTL is given. */
  put(key: string, value: string, ttlSeconds?: number): Promise<void>;
  delete(key: string): Promise<void>;
  /** All keys below a prefix, in byte order. */
  keys(prefix: string): Promise<readonly EtcdKey[]>;
  /** The store's current revision. */
  revision(): Promise<number>;
  /** Granted TTL of an etcd lease in seconds. */
  grantedTtl(leaseId: string): Promise<number>;
  /** Revokes an etcd lease given by its decimal id. */
  revoke(leaseId: string): Promise<void>;
  /** Compacts everything up to the current revision. */
  compact(): Promise<void>;
  /** A counter of etcd's Prometheus metrics, summed over its labels; `labels` must all occur in the line. */
  metric(name: string, ...labels: string[]): Promise<number>;
  /** kill -9. Data stays. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay up and nobody answers. */
  pause(): void;
  resume(): void;
  /** Starts again on the same data and ports, after `kill`. */
  restart(): Promise<void>;
  /** A backup of now, in a file that ends with the server. */
  backup(): Promise<string>;
  /** kill -9, and a start on what the backup holds, in a data folder of its own: what a person does after a loss. */
  restore(file: string, options?: NewDataOptions): Promise<void>;
  /** kill -9, and a start on an empty data folder: all that was stored is lost. */
  lose(options?: NewDataOptions): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

export interface NewDataOptions {
  /** The cluster gets another id, as with a token of its own. Default no: etcd makes the id from names and addresses, which stay. */
  readonly newCluster?: boolean;
}

const rootPassword = 'root';

/** Starts one server and waits until it answers. */
export async function startEtcd(options: EtcdServerOptions = {}): Promise<EtcdServer> {
  const { host = '127.0.0.1', command = [], tls } = options;
  const users = usersOf(options);
  // In memory where that can be had: a busy disk's fsync would turn short tests into long ones.
  const folder = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'flannel-vpc-etcd-'));
  const inNamespace = command.length > 0;
  const clientPort = options.clientPort ?? (inNamespace ? 2379 : await freePort(host));
  const peerPort = options.peerPort ?? (inNamespace ? 2380 : await freePort(host));
  const certificates = tls && (await createEtcdCertificates(join(folder, 'tls'), host, tls.server));
  const revoked = tls?.revocable ? await certificates?.authority.revoke() : undefined;
  const bracketed = host.includes(':') ? `[${host}]` : host;
  const endpoint = `${tls ? 'https' : 'http'}://${bracketed}:${clientPort}`;
  const peer = `http://${bracketed}:${peerPort}`;
  const etcd = await etcdBinary();
  const etcdctl = await etcdctlBinary();
  const membership = [
    ...['--name', 'test', '--initial-advertise-peer-urls', peer, '--initial-cluster', `test=${peer}`],
  ];
  let data = join(folder, 'data');
  let copies = 0;
  /** Where etcd makes a cluster anew. */
  let token: readonly string[] = [];
  const serverArgs = [
    ...['--log-level', 'error', '--logger', 'zap', ...membership],
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
    ...['--listen-peer-urls', peer],
    ...(certificates ? ['--cert-file', certificates.serverCertFile, '--key-file', certificates.serverKeyFile] : []),
    ...(certificates && tls?.clientAuth ? ['--client-cert-auth', '--trusted-ca-file', certificates.caFile] : []),
    ...(revoked === undefined ? [] : ['--client-crl-file', revoked]),
    ...(options.args ?? []),
  ];
  let child: ChildProcess | undefined;
  let authEnabled = false;

  async function ctl(...args: string[]): Promise<string> {
    const all = [
      ...command,
      etcdctl,
      `--endpoints=${endpoint}`,
      ...(certificates
        ? [
            `--cacert=${certificates.caFile}`,
            `--cert=${certificates.clientCertFile}`,
            `--key=${certificates.clientKeyFile}`,
            ...(tls?.server ? ['--insecure-skip-tls-verify'] : []),
          ]
        : []),
      ...(authEnabled ? [`--user=root:${rootPassword}`] : []),
      ...args,
    ];
    const [program, ...rest] = all;
    if (program === undefined) throw new Error('no program');
    const { stdout } = await run(program, rest, {
      env: { ...process.env, ETCDCTL_API: '3' },
      maxBuffer: 256 * 1024 * 1024,
    });
    return stdout;
  }

  async function grant(role: string, { key, may }: EtcdRight): Promise<void> {
    await ctl('role', 'grant-permission', role, ...shapeOf(key), may, key);
  }

  async function launch(): Promise<void> {
    const [program = etcd, ...rest] = [...command, etcd, '--data-dir', data, ...serverArgs, ...token];
    const started = spawn(program, rest, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch },
    });
    let complaints = '';
    started.stderr?.on('data', (data: Buffer) => {
      complaints = `${complaints}${data.toString()}`.slice(-4000);
    });
    child = started;
    for (let attempt = 0; ; attempt++) {
      if (started.exitCode !== null)
        throw new Error(`etcd ended at its start (exit ${started.exitCode}): ${complaints}`);
      try {
        await ctl('endpoint', 'health', '--command-timeout=1s');
        return;
      } catch (error) {
        if (attempt >= 150) throw new Error(`etcd does not answer at ${endpoint}: ${complaints}`, { cause: error });
        await delay(50);
      }
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child;
    child = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => ending.once('exit', () => resolve()));
    ending.kill(signal);
    await ended;
  }

  try {
    await launch();
    if (users.length > 0) {
      await ctl('user', 'add', `root:${rootPassword}`);
      await ctl('user', 'grant-role', 'root', 'root');
      for (const { name, password, rights } of users) {
        await ctl('user', 'add', `${name}:${password}`);
        await ctl('role', 'add', name);
        for (const right of rights) await grant(name, right);
        await ctl('user', 'grant-role', name, name);
      }
      await ctl('auth', 'enable');
      authEnabled = true;
    }
  } catch (error) {
    await end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
    throw error;
  }

  return {
    endpoint,
    certificates: certificates || undefined,
    get pid() {
      return child?.pid;
    },
    etcdctl: ctl,
    grant,
    async revokeRight(role, key) {
      await ctl('role', 'revoke-permission', role, ...shapeOf(key), key);
    },
    async put(key, value, ttlSeconds) {
      const lease =
        ttlSeconds === undefined ? [] : [`--lease=${(await ctl('lease', 'grant', String(ttlSeconds))).split(' ')[1]}`];
      await ctl('put', ...lease, '--', key, value);
    },
    async delete(key) {
      await ctl('del', '--', key);
    },
    async keys(prefix) {
      return readKeys(await ctl('get', '--prefix', '-w', 'json', '--', prefix));
    },
    async revision() {
      return Number(/"revision":(\d+)/.exec(await ctl('get', '-w', 'json', 'no-such-key'))?.[1]);
    },
    async grantedTtl(leaseId) {
      return Number(
        /"granted-ttl":(\d+)/.exec(await ctl('lease', 'timetolive', BigInt(leaseId).toString(16), '-w', 'json'))?.[1],
      );
    },
    async revoke(leaseId) {
      await ctl('lease', 'revoke', BigInt(leaseId).toString(16));
    },
    async compact() {
      await ctl('compact', /"revision":(\d+)/.exec(await ctl('get', '-w', 'json', 'no-such-key'))?.[1] ?? '');
    },
    async metric(name, ...labels) {
      const text = await (await fetch(`${endpoint}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(name) && labels.every((label) => line.includes(label)))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    kill: () => end('SIGKILL'),
    pause() {
      child?.kill('SIGSTOP');
    },
    resume() {
      child?.kill('SIGCONT');
    },
    restart: launch,
    async backup() {
      const file = join(folder, `backup-${++copies}`);
      await ctl('snapshot', 'save', file);
      return file;
    },
    async restore(file, { newCluster = false } = {}) {
      await end('SIGKILL');
      data = join(folder, `data-${++copies}`);
      token = newCluster ? [`--initial-cluster-token=cluster-${copies}`] : [];
      await ctl('snapshot', 'restore', file, '--data-dir', data, ...membership, ...token);
      await launch();
    },
    async lose({ newCluster = false } = {}) {
      await end('SIGKILL');
      data = join(folder, `data-${++copies}`);
      token = newCluster ? [`--initial-cluster-token=cluster-${copies}`] : [];
      await launch();
    },
    async stop() {
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function shapeOf(key: string): readonly string[] {
  return key.endsWith('/') ? ['--prefix=true'] : [];
}

function usersOf({ user, users = [] }: EtcdServerOptions): readonly EtcdUser[] {
  if (!user) return users;
  const { name, password, prefix } = user;
  return [{ name, password, rights: [{ key: `${prefix}/`, may: 'readwrite' }] }, ...users];
}

/** etcdctl prints 64-bit ids as bare JSON numbers, which would lose digits, so they are quoted before parsing. */
function readKeys(json: string): readonly EtcdKey[] {
  const parsed: { kvs?: { key: string; value?: string; lease?: string; version: string; mod_revision: string }[] } =
    JSON.parse(json.replace(/":(\d+)/g, '":"$1"'));
  return (parsed.kvs ?? []).map((entry) => ({
    key: Buffer.from(entry.key, 'base64').toString(),
    value: Buffer.from(entry.value ?? '', 'base64').toString(),
    lease: entry.lease ?? '0',
    version: Number(entry.version),
    modRevision: Number(entry.mod_revision),
  }));
}

/** A port nobody listens on at that address just now, in the namespace of the caller. */
export async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
