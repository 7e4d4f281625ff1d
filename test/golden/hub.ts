/**
 * What the nodes of a recorded case are plugged into: a bridge in a namespace of its own with an etcd on it. One for each
 * lane, so that cases run side by side with the same addresses.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { createNamespace, type Namespace } from '../fabric/namespace.ts';
import type { CaseStore, EtcdEntry, Step } from './case.ts';
import { type KubeHub, startKubeHub } from './kube-hub.ts';

type EtcdTls = Extract<Step, { op: 'etcd_tls' }>;

const host = '192.168.77.1';
/** TTLs are read some time after they were granted, on a busy machine; the case about renewal waits for longer than that. */
const fullWithinSeconds = 45;

export interface Hub {
  readonly namespace: Namespace;
  /** The etcd of the case: the plain one, or the one with TLS once that runs. */
  etcd(): EtcdServer;
  /** The API server, on a hub for Kubernetes cases. */
  readonly kube: KubeHub | undefined;
  /** Starts a second etcd with TLS, used from then on. */
  startTls(options: EtcdTls): Promise<void>;
  /** `{{ETCD}}`, `{{ETCDS}}`, `{{TLS}}` and `{{KUBE}}`. */
  fill(text: string): string;
  /** Every key, in byte order. */
  entries(): Promise<readonly EtcdEntry[]>;
  revokeAll(): Promise<void>;
  /** Ends what the case started and empties the plain etcd. */
  wipe(): Promise<void>;
  stop(): Promise<void>;
}

export async function createHub(name: string, store: CaseStore = 'etcd'): Promise<Hub> {
  const namespace = await createNamespace(name);
  await namespace.ip(
    'link add br0 type bridge',
    'link set br0 up',
    `addr add ${host}/24 dev br0`,
    'addr add fd77::1/64 dev br0 nodad',
  );
  const command = namespace.command([]);
  const plain = await startEtcd({ host, command });
  const kube = store === 'kubernetes' ? await startKubeHub(namespace) : undefined;
  const tlsFolder = await mkdtemp(join(tmpdir(), 'flannel-vpc-golden-tls-'));
  let secure: EtcdServer | undefined;

  async function revokeAll(): Promise<void> {
    const leases = (await hub.etcd().etcdctl('lease', 'list')).split('\n').slice(1);
    for (const id of leases.map((line) => line.trim()).filter(Boolean)) await hub.etcd().etcdctl('lease', 'revoke', id);
  }

  const hub: Hub = {
    namespace,
    kube,
    etcd: () => secure ?? plain,
    async startTls({ client_auth: clientAuth, user }) {
      secure = await startEtcd({
        ...{ host, command, clientPort: 2479, peerPort: 2480, tls: { clientAuth } },
        ...(user ? { user: { name: user.name, password: user.password, prefix: user.prefix } } : {}),
      });
      const files = secure.certificates;
      if (!files) throw new Error('an etcd with TLS has certificates');
      // The recording had one file as certificate and authority alike. Here it is both, one after the other.
      const both = await Promise.all([files.clientCertFile, files.caFile].map((path) => readFile(path, 'utf8')));
      await writeFile(join(tlsFolder, 'cert.pem'), both.join(''));
      await writeFile(join(tlsFolder, 'key.pem'), await readFile(files.clientKeyFile));
    },
    fill: (text) =>
      text
        .replaceAll('{{ETCD}}', plain.endpoint)
        .replaceAll('{{ETCDS}}', `https://${host}:2479`)
        .replaceAll('{{TLS}}', tlsFolder)
        .replaceAll('{{KUBE}}', kube?.url ?? '{{KUBE}}'),
    async entries() {
      const keys = await hub.etcd().keys('');
      return await Promise.all(
        keys.map(async ({ key, value, lease, version }) => ({
          ...{ key, value, version },
          lease: lease === '0' ? null : await readTtl(hub.etcd(), lease),
        })),
      );
    },
    revokeAll,
    async wipe() {
      await secure?.stop();
      secure = undefined;
      await plain.etcdctl('del', '--prefix', '');
      await revokeAll();
      await kube?.wipe();
    },
    async stop() {
      await kube?.stop();
      await secure?.stop();
      await plain.stop();
      await namespace.remove();
      await rm(tlsFolder, { recursive: true, force: true });
    },
  };
  return hub;
}

async function readTtl(etcd: EtcdServer, lease: string): Promise<EtcdEntry['lease']> {
  const answer = await etcd.etcdctl('lease', 'timetolive', BigInt(lease).toString(16), '-w', 'json');
  const granted = Number(/"granted-ttl":(-?\d+)/.exec(answer)?.[1]);
  const left = Number(/"ttl":(-?\d+)/.exec(answer)?.[1]);
  return { ttl: granted, full: granted - left <= fullWithinSeconds };
}
