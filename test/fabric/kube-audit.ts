/** What an API server was asked, and by whom: its audit log, without the contents of requests. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';

export interface KubeAction {
  /** Such as `system:serviceaccount:kube-flannel:flannel-vpc-agent`. */
  readonly user: string;
  readonly verb: string;
  /** Empty for the core group. */
  readonly group: string;
  /** With its subresource, such as `nodes/status`. */
  readonly resource: string;
  readonly name: string;
  readonly namespace: string;
  readonly allowed: boolean;
  /** HTTP status. */
  readonly status: number;
}

export interface KubeAudit {
  /** Arguments for the API server. */
  readonly args: readonly string[];
  /** Everything since the start. */
  actions(): Promise<readonly KubeAction[]>;
  remove(): Promise<void>;
}

const event = z.object({
  verb: z.string(),
  user: z.object({ username: z.string() }),
  objectRef: z
    .object({
      resource: z.string().default(''),
      subresource: z.string().optional(),
      apiGroup: z.string().default(''),
      name: z.string().default(''),
      namespace: z.string().default(''),
    })
    .optional(),
  responseStatus: z.object({ code: z.number().default(0) }).optional(),
  annotations: z.record(z.string(), z.string()).default({}),
});

export async function createKubeAudit(): Promise<KubeAudit> {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-audit-'));
  const [policy, log] = [join(folder, 'policy.yaml'), join(folder, 'audit.log')];
  // A watch has its answer when it begins.
  const rules = [{ level: 'Metadata', omitStages: ['RequestReceived', 'Panic'] }];
  await writeFile(policy, JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules }));
  return {
    args: [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`],
    async actions() {
      const text = await readFile(log, 'utf8').catch(() => '');
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => event.parse(JSON.parse(line)))
        .flatMap(({ verb, user, objectRef, responseStatus, annotations }) =>
          objectRef
            ? {
                ...{ user: user.username, verb, group: objectRef.apiGroup, name: objectRef.name },
                resource: [objectRef.resource, objectRef.subresource].filter(Boolean).join('/'),
                namespace: objectRef.namespace,
                allowed: annotations['authorization.k8s.io/decision'] === 'allow',
                status: responseStatus?.code ?? 0,
              }
            : [],
        );
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
