/** Where the programs are that `make setup` and `make setup-browser` install. Absent ones are an error, never a skipped test. */
import { createHash } from 'node:crypto';
import { constants, globSync } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import * as z from 'zod';
import { run } from './process.ts';

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

/** Path of libfaketime for programs with threads: `LIBFAKETIME`, or what `make setup` unpacked. @throws Error that names the command to run. */
export async function libfaketime(): Promise<string> {
  const library = 'libfaketimeMT.so.1';
  return (
    process.env['LIBFAKETIME'] || ((await newestInCache('libfaketime-', library, constants.R_OK)) ?? missing(library))
  );
}

/** Path of a Chromium or Chrome: `$CHROMIUM`, or one on the PATH. @throws Error that names the command to run when there is none. */
export async function chromiumBinary(): Promise<string> {
  const named = process.env['CHROMIUM'];
  if (named) return (await isUsable(named)) ? named : missing(`CHROMIUM=${named}`, 'setup-browser');
  return (await onPath('chromium')) ?? (await onPath('google-chrome')) ?? missing('chromium', 'setup-browser');
}

/** cloud-init's command: the one on the PATH, or what `make setup` unpacked, under LocalStack's Python. @throws Error as the others. */
export async function cloudInitCommand(): Promise<{
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}> {
  const installed = await onPath('cloud-init');
  if (installed !== undefined) return { argv: [installed], env: {} };
  const packages = dirname((await newestInCache('cloud-init-', 'cloudinit')) ?? missing('cloud-init'));
  const start = 'import sys; from cloudinit.cmd.main import main; sys.exit(main())';
  return { argv: [await localstackPython(), '-c', start], env: { PYTHONPATH: packages } };
}

/**
 * Path of Terraform, 1.11 or later: `TERRAFORM`, or the one on the PATH.
 *
 * @throws Error that says where it is had when there is none, or an earlier one.
 */
export async function terraformBinary(): Promise<string> {
  const path = process.env['TERRAFORM'] || (await onPath('terraform'));
  const advice =
    'install it by https://developer.hashicorp.com/terraform/install, or name one by TERRAFORM=/path/to/it';
  if (path === undefined || !(await isUsable(path))) {
    throw new Error(`Terraform >= 1.11 is not on the PATH: ${advice}`);
  }
  const said = await run([path, 'version', '-json'], { env: { CHECKPOINT_DISABLE: '1', TF_CLI_ARGS: '' } });
  const { terraform_version: version } = z.object({ terraform_version: z.string() }).parse(JSON.parse(said));
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 1 || (major === 1 && minor < 11))
    throw new Error(`${path} is Terraform ${version}, not >= 1.11: ${advice}`);
  return path;
}

/**
 * Path of the program of tools/terraform-schemas, which stands in for a provider.
 *
 * @throws Error that names the command to run when it is not built, or when its source changed since.
 */
export async function terraformSchemasBinary(): Promise<string> {
  const sources = ['go.mod', 'go.sum', 'main.go'].map(
    (name) => new URL(`../../tools/terraform-schemas/${name}`, import.meta.url),
  );
  const hash = createHash('sha256');
  for (const source of sources) hash.update(await readFile(source));
  const prefix = `terraform-schemas-${hash.digest('hex').slice(0, 12)}-`;
  return (await newestInCache(prefix, 'terraform-schemas')) ?? missing('tools/terraform-schemas', 'test-terraform');
}

/**
 * Folder for Terraform's `-plugin-dir` that holds the provider, such as `hashicorp/aws`: `TF_PLUGIN_DIR`, or one in or below the home folder,
 * /usr/share, /usr/local/share and /opt.
 *
 * @throws Error that says how to get one when there is none.
 */
export async function terraformPluginFolder(provider: string): Promise<string> {
  const inside = join('registry.terraform.io', provider);
  const named = process.env['TF_PLUGIN_DIR'];
  const roots = [homedir(), '/usr/share', '/usr/local/share', '/opt'];
  const found = named
    ? await readdir(join(named, inside)).then(
        () => named,
        () => undefined,
      )
    : globSync(roots.flatMap((root) => ['*', '*/*', '.*/*'].map((below) => join(root, below, inside))))
        .sort()[0]
        ?.slice(0, -inside.length - 1);
  if (found !== undefined) return found;
  const advice = '`terraform -chdir=terraform/examples/aws providers mirror FOLDER`, and TF_PLUGIN_DIR=FOLDER';
  throw new Error(`Terraform's provider ${provider} is not ${named ? `in ${named}` : 'on this machine'}: ${advice}`);
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
    if (await isUsable(join(folder, program))) return join(folder, program);
  }
  return undefined;
}

/** `bin/<program>` of the last folder by version among those whose name starts with the prefix, where it may be used so. */
async function newestInCache(prefix: string, program: string, use = constants.X_OK): Promise<string | undefined> {
  const names = await readdir(cacheFolder()).catch(() => []);
  const candidates = names
    .filter((name) => name.startsWith(prefix) && !name.endsWith('.part'))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  for (const name of candidates) {
    const path = join(cacheFolder(), name, 'bin', program);
    if (await isUsable(path, use)) return path;
  }
  return undefined;
}

async function isUsable(path: string, use = constants.X_OK): Promise<boolean> {
  return await access(path, use).then(
    () => true,
    () => false,
  );
}

function missing(what: string, target = 'setup'): never {
  throw new Error(`${what} is not installed, here or in ${cacheFolder()}: run \`make ${target}\``);
}
