/** Recorded cases of the real flannel: what they start from, what happens in them, and what was there afterwards. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

const node = z.strictObject({
  /** The other end of each is on the hub's bridge, or on nothing where `bridge` is false. */
  ifaces: z.array(
    z.strictObject({
      name: z.string(),
      mac: z.string(),
      mtu: z.int().default(1500),
      bridge: z.boolean().default(true),
      addrs: z.array(z.string()),
    }),
  ),
  /** Arguments of `ip`. */
  routes: z.array(z.string()).default([]),
});

const seconds = z.number().nonnegative();
const etcdUser = z.strictObject({ root: z.string(), name: z.string(), password: z.string(), prefix: z.string() });

const step = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('etcd_tls'), client_auth: z.boolean().default(false), user: etcdUser.optional() }),
  z.strictObject({ op: z.literal('etcd_put'), key: z.string(), value: z.string(), ttl: z.int().nullish() }),
  z.strictObject({ op: z.literal('etcd_del'), key: z.string() }),
  z.strictObject({ op: z.literal('etcd_compact') }),
  z.strictObject({ op: z.literal('etcd_revoke_all') }),
  z.strictObject({
    op: z.literal('kube_node'),
    body: z.looseObject({ metadata: z.looseObject({ name: z.string() }), status: z.unknown().optional() }),
  }),
  z.strictObject({ op: z.literal('kube_patch'), name: z.string(), body: z.unknown() }),
  z.strictObject({ op: z.literal('kube_delete'), name: z.string() }),
  z.strictObject({ op: z.literal('file'), path: z.string(), text: z.string() }),
  z.strictObject({
    op: z.literal('start'),
    node: z.string(),
    proc: z.string(),
    argv: z.array(z.string()),
    env: z.record(z.string(), z.string()).default({}),
  }),
  z.strictObject({
    op: z.literal('wait_ready'),
    proc: z.string(),
    timeout: seconds.default(15),
    settle: seconds.default(1.2),
  }),
  z.strictObject({ op: z.literal('wait_exit'), proc: z.string(), timeout: seconds.default(15) }),
  z.strictObject({ op: z.literal('signal'), proc: z.string(), sig: z.string() }),
  z.strictObject({ op: z.literal('sleep'), seconds }),
  z.strictObject({ op: z.literal('sh'), node: z.string(), cmd: z.string(), check: z.boolean().default(true) }),
  z.strictObject({
    op: z.literal('mkdockeropts'),
    node: z.string(),
    name: z.string(),
    argv: z.array(z.string()),
    out: z.string(),
    env: z.record(z.string(), z.string()).default({}),
  }),
  z.strictObject({ op: z.literal('http'), node: z.string(), url: z.string() }),
  z.strictObject({ op: z.literal('capture'), name: z.string() }),
]);

export type Step = z.infer<typeof step>;
export type NodeSpec = z.infer<typeof node>;

const result = z.union([
  z.strictObject({ proc: z.string(), wait_ready: z.enum(['ready', 'exited', 'timeout']) }),
  z.strictObject({
    proc: z.string(),
    wait_exit: z.enum(['exited', 'still running']),
    code: z.union([z.int(), z.string()]).optional(),
  }),
  z.strictObject({ http: z.string(), status: z.int(), body: z.string() }),
  z.strictObject({
    dockerOpts: z.string(),
    code: z.int(),
    /** First line of standard error; the usage that may follow is each program's own. */
    says: z.string(),
    /** Lines of the file; null where there is none. */
    file: z.array(z.string()).nullable(),
  }),
]);

const key = z.strictObject({
  key: z.string(),
  value: z.string(),
  /** `full`: granted or renewed a short while ago. */
  lease: z.strictObject({ ttl: z.int(), full: z.boolean() }).nullable(),
  /** Writes since the key was made. */
  version: z.int(),
});

const lines = z.array(z.string());

/** What one node holds. Texts are lists of lines; a member is absent where there was nothing at all. */
const nodeState = z.strictObject({
  'subnet.env': lines.optional(),
  iptables: lines.optional(),
  ip6tables: lines.optional(),
  nft: lines.optional(),
  /** Links, addresses and routes, as `ip -json` names them. */
  net: z.record(z.string(), z.unknown()),
});

/** Node objects of a cluster, by name, without times. */
export const kubeNodesSchema = z.record(
  z.string(),
  z.strictObject({
    annotations: z.record(z.string(), z.string()),
    labels: z.record(z.string(), z.string()),
    spec: z.strictObject({ podCIDR: z.string().nullable(), podCIDRs: z.array(z.string()).nullable() }),
    conditions: z.array(z.record(z.string(), z.unknown())),
  }),
);

const state = z.strictObject({
  etcd: z.array(key).optional(),
  kube: kubeNodesSchema.optional(),
  nodes: z.record(z.string(), nodeState),
});

export type StepResult = z.infer<typeof result>;
export type KubeNodes = z.infer<typeof kubeNodesSchema>;
export type EtcdEntry = z.infer<typeof key>;
export type NodeState = z.infer<typeof nodeState>;
export type State = z.infer<typeof state>;

/** Results of a run: of its waits and requests in order, and the state at each capture. */
const outcome = z.strictObject({
  steps: z.array(result),
  /** Texts that must occur in what a process printed: flannel's reason for refusing a net-conf is part of its contract. */
  says: z.record(z.string(), z.array(z.string())),
  states: z.record(z.string(), state),
});

export type Outcome = z.infer<typeof outcome>;

export const goldenCaseSchema = z.strictObject({
  id: z.string(),
  title: z.string(),
  group: z.string(),
  /** true: flannel is right. false: it is a defect, and `wanted` says what is right. A text: all but what is named. */
  judgement: z.strictObject({ copy: z.union([z.boolean(), z.string()]), wanted: z.string().optional() }),
  /** Subnets that are chosen freely, such as `n1.subnet`, and which ones may be chosen. */
  pool: z
    .record(
      z.string(),
      z.strictObject({ first: z.string(), last: z.string(), len: z.int(), excluded: z.array(z.string()) }),
    )
    .default({}),
  nodes: z.record(z.string(), node),
  steps: z.array(step),
  recorded: outcome,
});

export type GoldenCase = z.infer<typeof goldenCaseSchema>;

/** What differs from the recording in a program that is right. Each member stands in for the recorded one as a whole. */
const wantedSchema = z.strictObject({
  why: z.string().min(20),
  steps: z.array(result).optional(),
  says: z.record(z.string(), z.array(z.string())).optional(),
  states: z
    .record(
      z.string(),
      z.strictObject({
        etcd: z.array(key).optional(),
        kube: kubeNodesSchema.optional(),
        /** null: nothing of that kind is there. */
        nodes: z
          .record(
            z.string(),
            z.strictObject({
              'subnet.env': lines.nullish(),
              iptables: lines.nullish(),
              ip6tables: lines.nullish(),
              nft: lines.nullish(),
              net: z.record(z.string(), z.unknown()).optional(),
            }),
          )
          .optional(),
      }),
    )
    .optional(),
});

export type Wanted = z.infer<typeof wantedSchema>;

export const casesFolder = fileURLToPath(new URL('./cases', import.meta.url));
const wantedFolder = fileURLToPath(new URL('./wanted', import.meta.url));

/** Where a case has its leases. */
export type CaseStore = 'etcd' | 'kubernetes';

/** All recorded cases, by id. */
export function readCases(store: CaseStore): readonly GoldenCase[] {
  return readFolder(casesFolder, goldenCaseSchema)
    .map(([, each]) => each)
    .filter(({ group }) => (group === 'kube') === (store === 'kubernetes'));
}

/** What is wanted instead of the recording, by the case's id. */
export function readWanted(): ReadonlyMap<string, Wanted> {
  return new Map(readFolder(wantedFolder, wantedSchema));
}

function readFolder<T>(folder: string, schema: z.ZodType<T>): readonly (readonly [string, T])[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((name) => {
      const parsed = schema.safeParse(JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')));
      if (!parsed.success) throw new Error(`${folder}/${name}: ${z.prettifyError(parsed.error)}`);
      return [name.slice(0, -'.json'.length), parsed.data] as const;
    });
}

/** What a program that is right does: the recording, with what is wanted in place of flannel's defects. */
export function expectedOutcome(recorded: Outcome, wanted: Wanted | undefined): Outcome {
  if (!wanted) return recorded;
  const states = Object.entries(recorded.states).map(([name, before]): [string, State] => {
    const instead = wanted.states?.[name];
    const nodes = Object.entries(before.nodes).map(([nodeName, nodeBefore]): [string, NodeState] => {
      const merged = Object.entries({ ...nodeBefore, ...instead?.nodes?.[nodeName] }).filter(
        ([, value]) => value !== null,
      );
      return [nodeName, nodeState.parse(Object.fromEntries(merged))];
    });
    const etcd = instead?.etcd ?? before.etcd;
    const kube = instead?.kube ?? before.kube;
    return [name, { ...(etcd ? { etcd } : {}), ...(kube ? { kube } : {}), nodes: Object.fromEntries(nodes) }];
  });
  return {
    steps: wanted.steps ?? recorded.steps,
    says: wanted.says ?? recorded.says,
    states: Object.fromEntries(states),
  };
}
