/** Where the programs are that `make setup` and `make setup-browser` install. Absent ones are an error, never a skipped test. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** The folder that `make setup` fills: `$XDG_CACHE_HOME/flannel-vpc`. */
export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'flannel-vpc');
}

/** Path of an etcd server, 3.4 or later. @throws Error that names the command to run when there is none. */
export async function etcdBinary(): Promise<string> {
  return await findEtcd('etcd');
}

/** Path of the etcdctl that belongs to {@link etcdBinary}. @throws Error that names the command to run. */
export async function etcdctlBinary(): Promise<string> {
  return await findEtcd('etcdctl');
}

/**
 * The Python whose packages hold LocalStack: run it with `-m localstack.runtime.main`.
 *
 * @throws Error that names the command to run when it is not installed, or when its lock changed since.
 */
export async function localstackPython(): Promise<string> {
  const lock = await readFile(new URL('../../tools/localstack-requirements.txt', import.meta.url));
  const prefix = `localstack-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}-py`;
  return (await newestInCache(prefix, 'python')) ?? missing('LocalStack');
}

/** Folder of the standard CNI plugins: `CNI_PLUGINS`, or what `make setup` unpacked. @throws Error that names the command to run. */
export async function cniPluginFolder(): Promise<string> {
  return process.env['CNI_PLUGINS'] || dirname((await newestInCache('cni-', 'bridge')) ?? missing('the CNI plugins'));
}

/** Path of a Chromium or Chrome: `$CHROMIUM`, or one on the PATH. @throws Error that names the command to run when there is none. */
export async function chromiumBinary(): Promise<string> {
  const named = process.env['CHROMIUM'];
  if (named) return (await isExecutable(named)) ? named : missing(`CHROMIUM=${named}`, 'setup-browser');
  return (await onPath('chromium')) ?? (await onPath('google-chrome')) ?? missing('chromium', 'setup-browser');
}

/**
 * Path of the Kubernetes API server: `KUBE_APISERVER`, or the one built from tools/kubernetes/go.mod.
 *
 * @throws Error that names the command to run when it is not built, or when go.mod names another release since.
 */
export async function kubeApiserverBinary(): Promise<string> {
  return process.env['KUBE_APISERVER'] || (await builtKubernetes('kube-apiserver'));
}

/** Path of kubectl: `KUBECTL`, or the one of the same release as {@link kubeApiserverBinary}. @throws Error as there. */
export async function kubectlBinary(): Promise<string> {
  return process.env['KUBECTL'] || (await builtKubernetes('kubectl'));
}

async function builtKubernetes(program: string): Promise<string> {
  const module = await readFile(new URL('../../tools/kubernetes/go.mod', import.meta.url), 'utf8');
  const version = /^\tk8s\.io\/kubernetes (\S+)/m.exec(module)?.[1];
  if (version === undefined) throw new Error('tools/kubernetes/go.mod names no version of k8s.io/kubernetes');
  return (await newestInCache(`kubernetes-${version}-`, program)) ?? missing(program, 'setup-kubernetes');
}

async function findEtcd(program: 'etcd' | 'etcdctl'): Promise<string> {
  return (await newestInCache('etcd-', program)) ?? (await onPath(program)) ?? missing(program);
}

async function onPath(program: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    if (await isExecutable(join(folder, program))) return join(folder, program);
  }
  return undefined;
}

/** `bin/<program>` of the last folder by version among those whose name starts with the prefix. */
async function newestInCache(prefix: string, program: string): Promise<string | undefined> {
  const names = await readdir(cacheFolder()).catch(() => []);
  const candidates = names
    .filter((name) => name.startsWith(prefix) && !name.endsWith('.part'))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  for (const name of candidates) {
    const path = join(cacheFolder(), name, 'bin', program);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function missing(what: string, target = 'setup'): never {
  throw new Error(`${what} is not installed, here or in ${cacheFolder()}: run \`make ${target}\``);
}
