/** What deploy/kubernetes/flannel-vpc.yaml says, for tests that run the programs as it does. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import * as z from 'zod';

export const manifestFile = fileURLToPath(new URL('../../deploy/kubernetes/flannel-vpc.yaml', import.meta.url));
/** Namespace of everything in it that has one. */
export const manifestNamespace = 'kube-flannel';

const container = z.object({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()).default([]),
  env: z
    .array(
      z.union([
        z.object({ name: z.string(), valueFrom: z.object({ fieldRef: z.object({ fieldPath: z.string() }) }) }),
        z.object({ name: z.string(), value: z.string() }),
      ]),
    )
    .default([]),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]),
  resources: z.object({
    requests: z.object({ memory: z.string() }),
    limits: z.object({ memory: z.string() }),
  }),
  securityContext: z.object({
    privileged: z.boolean().default(false),
    allowPrivilegeEscalation: z.boolean().default(true),
    readOnlyRootFilesystem: z.boolean().default(false),
    capabilities: z
      .object({ add: z.array(z.string()).default([]), drop: z.array(z.string()).default([]) })
      .default({ add: [], drop: [] }),
  }),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })).default([]),
});
export type ManifestContainer = z.output<typeof container>;

const rule = z.object({
  apiGroups: z.array(z.string()),
  resources: z.array(z.string()),
  resourceNames: z.array(z.string()).default([]),
  verbs: z.array(z.string()),
});
export type ManifestRule = z.output<typeof rule>;

const object = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
export type ManifestObject = z.output<typeof object>;

const podTemplate = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        serviceAccountName: z.string(),
        securityContext: z.object({ runAsUser: z.number().default(0) }),
        initContainers: z.array(container).default([]),
        containers: z.array(container),
      }),
    }),
  }),
});

/** A role of the manifest. */
export interface ManifestRole {
  readonly kind: 'Role' | 'ClusterRole';
  readonly name: string;
  /** Empty for a ClusterRole. */
  readonly namespace: string;
  readonly rules: readonly ManifestRule[];
}

export interface Manifest {
  readonly objects: readonly ManifestObject[];
  /** @throws Error when there is none, or more than one. */
  find(kind: string, name: string): ManifestObject;
  /** The pods of a DaemonSet or Deployment. */
  pods(kind: 'DaemonSet' | 'Deployment', name: string): z.output<typeof podTemplate>['spec']['template']['spec'];
  /** Roles that are bound to a service account. */
  rolesOf(serviceAccount: string): readonly ManifestRole[];
  /** The text of net-conf.json in the ConfigMap. */
  readonly netConf: string;
}

const binding = z.object({
  roleRef: z.object({ kind: z.enum(['Role', 'ClusterRole']), name: z.string() }),
  subjects: z.array(z.object({ kind: z.string(), name: z.string() })),
});

/** Reads the manifest, or another file of objects. */
export async function readManifest(path: string = manifestFile): Promise<Manifest> {
  return manifestOf(await readFile(path, 'utf8'));
}

export function manifestOf(text: string): Manifest {
  const objects = parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw new Error(`the manifest is no YAML: ${document.errors.join('; ')}`);
    return object.parse(document.toJS());
  });

  function find(kind: string, name: string): ManifestObject {
    const [found, ...more] = objects.filter((each) => each.kind === kind && each.metadata.name === name);
    if (!found || more.length > 0) throw new Error(`${more.length + (found ? 1 : 0)} of ${kind} ${name}`);
    return found;
  }

  return {
    objects,
    find,
    pods: (kind, name) => podTemplate.parse(find(kind, name)).spec.template.spec,
    rolesOf(serviceAccount) {
      return objects
        .filter(({ kind }) => kind === 'RoleBinding' || kind === 'ClusterRoleBinding')
        .map((each) => binding.parse(each))
        .filter(({ subjects }) => subjects.some(({ name }) => name === serviceAccount))
        .map(({ roleRef: { kind, name } }) => {
          const role = find(kind, name);
          const { rules } = z.object({ rules: z.array(rule) }).parse(role);
          return { kind, name, namespace: role.metadata.namespace ?? '', rules };
        });
    },
    get netConf() {
      return z.object({ data: z.object({ 'net-conf.json': z.string() }) }).parse(find('ConfigMap', 'flannel-vpc')).data[
        'net-conf.json'
      ];
    },
  };
}
