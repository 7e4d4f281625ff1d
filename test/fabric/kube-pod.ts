/**
 * Containers of the manifest on a node, with what a kubelet and its runtime give them: the service account's folder, the volumes, a
 * read-only root and /proc/sys, and no other capabilities than those asked for. Of the image there is the program's folder; the
 * rest is this machine's.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KubeApiserver } from './kube-apiserver.ts';
import { type Manifest, type ManifestContainer, manifestNamespace } from './kube-manifest.ts';
import type { Node } from './node.ts';
import { type Process, run } from './process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The program as the image has it. */
export interface Image {
  readonly program: string;
  remove(): Promise<void>;
}

/** Copies what the Dockerfile copies, where every user may read it. */
export async function unpackImage(): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-image-'));
  await chmod(folder, 0o755);
  const dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8');
  const [, command] = /^RUN mkdir \/image && (cp .*) \/image$/m.exec(dockerfile) ?? [];
  if (command === undefined) throw new Error('the Dockerfile no longer fills /image in the way that is looked for');
  await run(['bash', '-euc', `cd "$0" && ${command} "$1"`, root, folder]);
  return {
    program: join(folder, 'bin/flannel-vpc'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

export interface PodPlace {
  readonly node: Node;
  /** Of the Node object. */
  readonly nodeName: string;
  readonly server: KubeApiserver;
  readonly manifest: Manifest;
  readonly image: Image;
}

export interface PodRequest {
  readonly kind: 'DaemonSet' | 'Deployment';
  readonly name: string;
  /** In place of the ConfigMap's. */
  readonly netConf?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface KubePod {
  /** Runs the init containers to their ends, one after the other. @throws Error with what one said that failed. */
  init(): Promise<void>;
  /** Starts the only container. */
  start(): Process;
  /** A new token, as the kubelet gives one now and then. */
  remount(): Promise<void>;
}

/**
 * $1: folder of the volumes, $2: `privileged` or not, $3: user, then the capabilities that are left as setpriv wants them, or none,
 * and the command. The machine's own /etc gets the mount points in a copy that ends with the process.
 */
const container = `
volumes=$1 privileged=$2 user=$3 capabilities=$4
shift 4
mkdir -p "$volumes/etc-upper" "$volumes/etc-work" /run/flannel /run/secrets/kubernetes.io/serviceaccount
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$volumes/etc-upper,workdir=$volumes/etc-work" /etc
mkdir -p /etc/kube-flannel /etc/cni/net.d
touch /run/xtables.lock
for path in /run/flannel /run/xtables.lock; do mount --bind "$path" "$path"; done
mount --bind "$volumes/net-conf" /etc/kube-flannel
mount --bind "$volumes/cni" /etc/cni/net.d
mount --bind "$volumes/service-account" /run/secrets/kubernetes.io/serviceaccount
for path in / /etc /etc/kube-flannel /run /run/secrets/kubernetes.io/serviceaccount; do mount -o remount,bind,ro "$path"; done
[ "$privileged" = privileged ] && exec "$@"
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
# A rig that another user than root made knows no other user.
if [ "$user" != 0 ] && awk -v user="$user" '{ users += $3 } END { exit !(users > user) }' /proc/self/uid_map; then
  exec setpriv --reuid="$user" --regid="$user" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
fi
exec setpriv --bounding-set="-all$capabilities" --inh-caps="-all$capabilities" --no-new-privs -- "$@"
`;

/** Makes the Pod object, to which its token is bound, and its volumes. */
export async function createKubePod(place: PodPlace, request: PodRequest): Promise<KubePod> {
  const { node, nodeName, server, manifest, image } = place;
  const { kind, name, netConf = manifest.netConf } = request;
  const spec = manifest.pods(kind, name);
  const podName = `${name}-${nodeName}`;
  const { serviceAccountName } = spec;
  await server.apply({
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: podName, namespace: manifestNamespace } },
    spec: { serviceAccountName, nodeName, containers: [{ name: 'one', image: 'none' }] },
  });
  // As a machine's own /run: others than root read there as well.
  await chmod(node.runFolder, 0o755);
  const volumes = await mkdtemp(join(node.runFolder, `${name}-`));
  await chmod(volumes, 0o755);
  for (const each of ['net-conf', 'cni']) await mkdir(join(volumes, each));
  await writeFile(join(volumes, 'net-conf/net-conf.json'), netConf);
  const remount = (): Promise<void> =>
    server.mountServiceAccount(join(volumes, 'service-account'), serviceAccountName, manifestNamespace, {
      pod: podName,
    });
  await remount();

  const fields: Readonly<Record<string, string>> = {
    'spec.nodeName': nodeName,
    'metadata.namespace': manifestNamespace,
  };
  function launch({ command, args, env, securityContext }: ManifestContainer): Process {
    const { privileged, capabilities } = securityContext;
    const kept = capabilities.add.map((capability) => `,+${capability.toLowerCase()}`).join('');
    const argv = [...(command.length > 0 ? command : [image.program]), ...args];
    const environment = env.map((variable) => {
      if ('value' in variable) return [variable.name, variable.value];
      const { fieldPath } = variable.valueFrom.fieldRef;
      const value = fields[fieldPath];
      if (value === undefined) throw new Error(`what is ${fieldPath}?`);
      return [variable.name, value];
    });
    const user = String(spec.securityContext.runAsUser);
    return node.spawn(
      ['sh', '-euc', container, 'container', volumes, privileged ? 'privileged' : '', user, kept, ...argv],
      {
        KUBERNETES_SERVICE_HOST: new URL(server.url).hostname,
        KUBERNETES_SERVICE_PORT: String(server.port),
        ...Object.fromEntries(environment),
        ...request.env,
      },
    );
  }

  return {
    async init() {
      for (const each of spec.initContainers) {
        const process = launch(each);
        const code = await process.ended;
        if (code !== 0) throw new Error(`${each.name} ended with ${code}: ${process.log()}`);
      }
    },
    start() {
      const [only, ...more] = spec.containers;
      if (!only || more.length > 0) throw new Error(`${name} has ${spec.containers.length} containers`);
      return launch(only);
    },
    remount,
  };
}
