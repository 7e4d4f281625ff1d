/**
 * A real Kubernetes API server for tests, on an etcd that the caller started. RBAC is on and admission is what the server
 * does by default, so that what it refuses here it refuses in a cluster. There is no controller manager and no kubelet:
 * nobody gives nodes a podCIDR, namespaces a service account, or a DaemonSet its pods, unless the test does.
 */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { createAuthority } from './certificates.ts';
import { type EtcdServer, freePort } from './etcd.ts';
import {
  type KubeRequest,
  type KubeResponse,
  type KubeServerAddress,
  type KubeUser,
  sendRequest,
  writeKubeconfig,
} from './kube-client.ts';
import { type Process, type RunResult, run, runToEnd, start } from './process.ts';
import { kubeApiserverBinary, kubectlBinary } from './tools.ts';

export interface KubeApiserverOptions {
  readonly etcd: Pick<EtcdServer, 'endpoint' | 'certificates'>;
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** More names and addresses its certificate is for. 127.0.0.1 is among them in any case, for a proxy in front. */
  readonly alsoKnownAs?: readonly string[];
  /** More of the server's own arguments. */
  readonly args?: readonly string[];
}

export interface KubectlOptions {
  /** Whose; default the administrator's. */
  readonly kubeconfig?: string;
  /** What `-f -` reads. */
  readonly input?: string;
}

export interface TokenOptions {
  /** How long it is valid; default an hour, and the server takes no less than 600. */
  readonly seconds?: number;
  /**
   * A pod of the namespace, as a kubelet binds each token that it mounts: the server then knows the user's node as well,
   * and the token ends with the pod.
   */
  readonly pod?: string;
}

export interface KubeApiserver extends KubeServerAddress {
  readonly port: number;
  /** File with the administrator's client certificate (group system:masters). */
  readonly kubeconfig: string;
  readonly administrator: KubeUser;
  /** What the server logged since its last start. */
  log(): string;
  /** Runs kubectl as the administrator and gives its output. @throws Error with what it said, unless it exits 0. */
  kubectl(...args: string[]): Promise<string>;
  /** Runs kubectl and gives all it said, whatever its exit code. */
  kubectlResult(args: readonly string[], options?: KubectlOptions): Promise<RunResult>;
  /** `kubectl apply` of one object as the administrator. */
  apply(object: unknown): Promise<void>;
  /** A request without kubectl; as the administrator unless it says another user. */
  request(request: KubeRequest, user?: KubeUser): Promise<KubeResponse>;
  /** A token for a service account, which must exist, by the TokenRequest API. */
  token(serviceAccount: string, namespace: string, options?: TokenOptions): Promise<string>;
  /** Writes a kubeconfig for a user; `url` leads through a proxy. @returns its path, gone after `stop`. */
  kubeconfigFor(name: string, user: KubeUser, url?: string): Promise<string>;
  /**
   * Fills a folder as a kubelet fills the one that every pod sees as /var/run/secrets/kubernetes.io/serviceaccount. Done
   * again, it gives a new token in place of the old one.
   */
  mountServiceAccount(folder: string, serviceAccount: string, namespace: string, options?: TokenOptions): Promise<void>;
  /** kill -9, unless told a kinder signal, on which the server ends its watches and may take a minute. Data stays in etcd. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP: connections stay up and nobody answers. */
  pause(): void;
  resume(): void;
  /** Starts again on the same port and data, after `kill`. */
  restart(): Promise<void>;
  /** Ends the server and removes its files. The data is etcd's. */
  stop(): Promise<void>;
}

/** From exec to ready: three seconds on a quiet machine. */
const readyTimeoutMs = 90_000;

const tokenAnswer = z.object({ status: z.object({ token: z.string() }) });

/** Starts one server and waits until it says that it is ready. */
export async function startKubeApiserver(options: KubeApiserverOptions): Promise<KubeApiserver> {
  const { etcd, host = '127.0.0.1', alsoKnownAs = [] } = options;
  const [program, kubectlProgram] = [await kubeApiserverBinary(), await kubectlBinary()];
  const folder = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'flannel-vpc-kube-'));
  const port = await freePort(host);
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const authority = await createAuthority(join(folder, 'tls'));
  const inCluster = ['kubernetes.default.svc', 'kubernetes.default', '10.96.0.1'];
  const [server, certificate] = await Promise.all([
    authority.issue({
      name: 'apiserver',
      hosts: [...new Set([host, '127.0.0.1', 'localhost', ...inCluster, ...alsoKnownAs])],
      usage: ['serverAuth'],
    }),
    authority.issue({ name: 'admin', subject: '/O=system:masters/CN=admin', usage: ['clientAuth'] }),
  ]);
  const tokenKeys = await writeTokenKeys(join(folder, 'tls'));
  const address: KubeServerAddress = { url, caFile: authority.caFile };
  const administrator: KubeUser = { certificate };
  const kubeconfig = join(folder, 'admin.kubeconfig');
  await writeKubeconfig(kubeconfig, address, administrator);
  // kubectl keeps what it learnt of a server under the home folder.
  const home = join(folder, 'home');
  await mkdir(home);

  const argv = [
    program,
    ...[`--etcd-servers=${etcd.endpoint}`, `--bind-address=${host}`, `--secure-port=${port}`],
    ...(etcd.certificates
      ? [
          `--etcd-cafile=${etcd.certificates.caFile}`,
          `--etcd-certfile=${etcd.certificates.clientCertFile}`,
          `--etcd-keyfile=${etcd.certificates.clientKeyFile}`,
        ]
      : []),
    // The rig has no default route, which the server would look at to find an address to advertise; nobody uses it.
    ...[`--advertise-address=${host}`, '--endpoint-reconciler-type=none', '--service-cluster-ip-range=10.96.0.0/16'],
    ...[`--client-ca-file=${authority.caFile}`, `--tls-cert-file=${server.certFile}`],
    ...[`--tls-private-key-file=${server.keyFile}`, '--service-account-issuer=https://kubernetes.default.svc'],
    `--service-account-key-file=${tokenKeys.verifying}`,
    `--service-account-signing-key-file=${tokenKeys.signing}`,
    // As kubeadm sets them.
    ...['--authorization-mode=Node,RBAC', '--enable-admission-plugins=NodeRestriction', '--allow-privileged=true'],
    ...(options.args ?? []),
  ];
  let running: Process | undefined;

  async function launch(): Promise<void> {
    const started = start(argv);
    running = started;
    const deadline = performance.now() + readyTimeoutMs;
    let over: number | string | undefined;
    void started.ended.then((status) => {
      over = status;
    });
    for (;;) {
      const answer = await sendRequest(address, administrator, { path: '/readyz?verbose' }).catch(String);
      if (typeof answer !== 'string' && answer.status === 200) return;
      const last = typeof answer === 'string' ? answer : answer.body;
      if (over !== undefined) throw new Error(`kube-apiserver ended at its start (${over}): ${started.log()}`);
      if (performance.now() > deadline)
        throw new Error(`kube-apiserver is not ready at ${url}: ${last}\n${started.log()}`);
      await delay(50);
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    await running?.kill(signal);
  }

  async function send(request: KubeRequest, user: KubeUser = administrator): Promise<KubeResponse> {
    return await sendRequest(address, user, request);
  }

  function kubectlCommand(args: readonly string[], config: string): [readonly string[], Record<string, string>] {
    return [[kubectlProgram, ...args], { KUBECONFIG: config, HOME: home }];
  }

  try {
    await launch();
  } catch (error) {
    await end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
    throw error;
  }

  async function token(
    serviceAccount: string,
    namespace: string,
    { seconds = 3600, pod }: TokenOptions = {},
  ): Promise<string> {
    const spec = {
      expirationSeconds: seconds,
      ...(pod !== undefined && { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod } }),
    };
    const { status, body } = await send({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
    });
    if (status !== 201) throw new Error(`no token for ${namespace}/${serviceAccount}: ${body}`);
    return tokenAnswer.parse(JSON.parse(body)).status.token;
  }

  return {
    ...{ url, port, caFile: authority.caFile, kubeconfig, administrator, request: send },
    log: () => running?.log() ?? '',
    async kubectl(...args) {
      const [command, env] = kubectlCommand(args, kubeconfig);
      return await run(command, { env });
    },
    async kubectlResult(args, { kubeconfig: config = kubeconfig, input } = {}) {
      const [command, env] = kubectlCommand(args, config);
      return await runToEnd(command, { env, ...(input === undefined ? {} : { input }) });
    },
    async apply(object) {
      const [command, env] = kubectlCommand(['apply', '-f', '-'], kubeconfig);
      await run(command, { env, input: JSON.stringify(object) });
    },
    token,
    async kubeconfigFor(name, user, through = url) {
      const path = join(folder, `${name}.kubeconfig`);
      await writeKubeconfig(path, { url: through, caFile: authority.caFile }, user);
      return path;
    },
    async mountServiceAccount(target, serviceAccount, namespace, tokenOptions) {
      await mkdir(target, { recursive: true });
      await copyFile(authority.caFile, join(target, 'ca.crt'));
      await writeFile(join(target, 'namespace'), namespace);
      await writeFile(join(target, 'token.part'), await token(serviceAccount, namespace, tokenOptions));
      // A reader sees the old one or the new one.
      await rename(join(target, 'token.part'), join(target, 'token'));
    },
    kill: (signal = 'SIGKILL') => end(signal),
    pause() {
      running?.signal('SIGSTOP');
    },
    resume() {
      running?.signal('SIGCONT');
    },
    restart: launch,
    async stop() {
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The keys by which the server signs the tokens of service accounts, and knows them again after a restart. */
async function writeTokenKeys(folder: string): Promise<{ readonly signing: string; readonly verifying: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signing = join(folder, 'token-signing-key.pem');
  const verifying = join(folder, 'token-verifying-key.pem');
  await writeFile(signing, privateKey.export({ type: 'sec1', format: 'pem' }));
  await writeFile(verifying, publicKey.export({ type: 'spki', format: 'pem' }));
  return { signing, verifying };
}
