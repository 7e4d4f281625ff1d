/** What is read from a Kubernetes API server, and the files by which one gets there. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseServer } from '../../../lease/kubernetes/access.ts';
import { annotationNames } from '../../../lease/kubernetes/annotations.ts';
import type { KubernetesClient } from '../../../lease/kubernetes/client.ts';
import { leaseSchema } from '../../../lease/kubernetes/election.ts';
import { failureOf } from '../../../lease/kubernetes/failures.ts';
import { follow } from '../../../lease/kubernetes/follow.ts';
import { readKubeconfig } from '../../../lease/kubernetes/kubeconfig.ts';
import { leaseOf, nodeSchema } from '../../../lease/kubernetes/node-object.ts';
import { recordSchema, toRecord } from '../../../lease/kubernetes/ownership-store.ts';
import { instanceIdOfProviderId } from '../../../lease/kubernetes/provider-id.ts';
import { parseJson } from '../../../src/core/json.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { hostileJson, hostileLines, hostileText, mutated } from '../../support/hostile.ts';
import { createTestClock } from '../../support/test-clock.ts';
import type { Edge } from './edge.ts';

const names = annotationNames('flannel.alpha.coreos.com');
const isThere = (result: unknown): boolean => result !== undefined;

const nodes = [
  {
    metadata: {
      ...{ name: 'worker-7', uid: 'u-7', resourceVersion: '12', creationTimestamp: '2026-01-01T00:00:00Z' },
      annotations: {
        'flannel.alpha.coreos.com/kube-subnet-manager': 'true',
        'flannel.alpha.coreos.com/backend-type': 'vxlan',
        'flannel.alpha.coreos.com/backend-data': '{"VNI":1,"VtepMAC":"12:34:56:78:9a:bc"}',
        'flannel.alpha.coreos.com/public-ip': '10.0.1.4',
        'flannel.alpha.coreos.com/vpc-node': '{"instanceId":"i-07","nicId":"eni-07","addresses":["10.0.1.4"]}',
      },
    },
    spec: {
      ...{ podCIDR: '10.244.7.0/24', podCIDRs: ['10.244.7.0/24', 'fd42:0:0:7::/64'] },
      providerID: 'aws:///eu-west-1a/i-07',
    },
    status: {
      addresses: [{ type: 'InternalIP', address: '10.0.1.4' }],
      conditions: [{ type: 'NetworkUnavailable', status: 'False', reason: 'FlannelIsUp', message: 'up' }],
    },
  },
];
const records = [
  {
    metadata: { name: '10.244.7.0-24.rtb-1', resourceVersion: '5' },
    spec: { table: 'rtb-1', destination: '10.244.7.0/24', target: 'eni-07', holder: 'i-07', writtenAt: '' },
  },
];
const elections = [
  {
    metadata: { name: 'controller', resourceVersion: '5', uid: 'u' },
    spec: { holderIdentity: 'ctl-1', leaseDurationSeconds: 15, renewTime: '2026-01-01T00:00:00.000000Z' },
  },
];
const statuses = [{ kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }];
const events = [
  { type: 'ADDED', object: nodes[0] },
  { type: 'BOOKMARK', object: { metadata: { resourceVersion: '13' } } },
  { type: 'DELETED', object: nodes[0] },
  { type: 'ERROR', object: statuses[0] },
];
const providerIds = [
  'aws:///eu-west-1a/i-07',
  'gce://my-project/europe-west1-b/node-7',
  'alicloud://cn-hangzhou.i-bp1',
  'azure:///subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/N',
];
const kubeconfig = `apiVersion: v1
kind: Config
current-context: main
contexts:
- name: main
  context: {cluster: one, user: me}
clusters:
- name: one
  cluster:
    server: https://10.0.0.1:6443
    insecure-skip-tls-verify: true
users:
- name: me
  user: {token: abc}
`;
const folder = mkdtemp(join(tmpdir(), 'flannel-vpc-hostile-'));

/** Follows nodes by what a server sends, until it has nothing more to say. */
async function followed(lines: readonly string[]): Promise<unknown> {
  const ending = new AbortController();
  const clock = createTestClock();
  let watches = 0;
  const client: KubernetesClient = {
    description: 'a server',
    closed: ending.signal,
    async call({ schema }) {
      return schema.parse({ metadata: { resourceVersion: '1' }, items: [nodes[0]] });
    },
    async *stream() {
      watches += 1;
      if (watches > 1) {
        ending.abort(new DOMException('enough', 'AbortError'));
        throw ending.signal.reason;
      }
      yield* lines;
    },
    close() {},
  };
  let events = 0;
  const options = { client, path: '/', query: {}, what: 'watch of all nodes', schema: nodeSchema, pageSize: 500 };
  const parts = { relistMs: 1e9, clock: { ...clock, sleep: async () => {} }, random: () => 0, logger: silentLogger };
  try {
    for await (const event of follow({ ...options, ...parts }, ending.signal)) if (event.kind !== 'state') events += 1;
  } catch (error) {
    if (!ending.signal.aborted) throw error;
  }
  return events > 0 ? events : undefined;
}

export const edgesOfKubernetes: readonly Edge[] = [
  {
    name: 'a Node object and its annotations',
    files: ['lease/kubernetes/node-object.ts', 'lease/kubernetes/annotations.ts', 'lease/kubernetes/nodes.ts'],
    sound: nodes,
    inputs: fc.oneof(
      mutated(nodes),
      hostileJson([{ instanceId: 'i-07', addresses: ['10.0.1.4'] }]).map((text) => withAnnotation('vpc-node', text)),
      hostileJson([{ VNI: 1 }]).map((text) => withAnnotation('backend-data', text)),
    ),
    read(value: unknown) {
      const node = nodeSchema.safeParse(value);
      const lease = node.success ? leaseOf(node.data, names, 'all') : undefined;
      // A lease is compared and copied.
      if (lease) JSON.stringify(structuredClone(lease), (_, part) => (typeof part === 'bigint' ? String(part) : part));
      return lease;
    },
    taken: isThere,
    refuses: 'result',
  },
  {
    name: 'events of a watch',
    files: ['lease/kubernetes/follow.ts'],
    sound: [events.slice(0, 2).map((event) => JSON.stringify(event))],
    inputs: fc.array(hostileJson(events), { maxLength: 4 }),
    read: followed,
    taken: isThere,
    refuses: 'result',
    runs: 300,
  },
  {
    name: 'a VPCRoute object',
    files: ['lease/kubernetes/ownership-store.ts'],
    sound: records,
    inputs: mutated(records),
    read(value: unknown) {
      const parsed = recordSchema.safeParse(value);
      return parsed.success ? toRecord(parsed.data) : undefined;
    },
    taken: isThere,
    refuses: 'result',
  },
  {
    name: 'the Lease object of the election',
    files: ['lease/kubernetes/election.ts'],
    sound: elections,
    inputs: mutated(elections),
    read: (value: unknown) => leaseSchema.safeParse(value).data,
    taken: isThere,
    refuses: 'result',
  },
  {
    name: 'a refusal of the API server',
    files: ['lease/kubernetes/failures.ts'],
    sound: [],
    inputs: fc.tuple(
      hostileJson(statuses),
      fc.constantFrom(0, 400, 401, 403, 404, 409, 410, 429, 500, 999),
      fc.oneof(fc.constant('1e300'), hostileText),
    ),
    read([text, status, retryAfter]: [string, number, string]) {
      const refusal = { method: 'GET', path: '/api/v1/nodes', doing: 'list nodes' };
      const error = failureOf({ ...refusal, text, status, headers: { 'retry-after': retryAfter } });
      // Nobody waits for days because an answer says so.
      if ((error.retryAfterMs ?? 0) > 300_000) throw new Error(`a pause of ${error.retryAfterMs} ms`);
      throw error;
    },
    taken: () => false,
    refuses: 'ours',
  },
  {
    name: "a node's providerID",
    files: ['lease/kubernetes/provider-id.ts'],
    sound: providerIds,
    inputs: fc.oneof(
      hostileText,
      fc
        .tuple(fc.constantFrom('aws', 'gce', 'azure', 'constructor', 'toString', '__proto__'), hostileText)
        .map(([scheme, rest]) => `${scheme}://${rest}`),
      fc.tuple(fc.constantFrom(...providerIds), hostileText).map(([id, text]) => `${id}${text}`),
    ),
    read(text: string) {
      const id: unknown = instanceIdOfProviderId(text);
      if (id !== undefined && typeof id !== 'string') throw new Error(`an instance id that is a ${typeof id}`);
      if (typeof id === 'string' && /[^\w./-]/.test(id) && !text.startsWith('azure') && !text.startsWith('gce'))
        throw new Error(`the instance id ${JSON.stringify(id)}`);
      return id;
    },
    taken: isThere,
    refuses: 'result',
  },
  {
    name: 'a kubeconfig file',
    files: ['lease/kubernetes/kubeconfig.ts', 'lease/kubernetes/yaml-text.ts'],
    sound: [kubeconfig],
    inputs: fc.oneof(
      { weight: 4, arbitrary: hostileLines([kubeconfig]) },
      {
        weight: 2,
        arbitrary: fc.tuple(fc.nat(), hostileText).map(([at, text]) => `${kubeconfig.slice(0, at % 300)}${text}`),
      },
      // Each line refers ten times to the one before.
      {
        weight: 1,
        arbitrary: fc.constant(
          `a: &a [x]\n${[...'bcdefghij'].map((name, at) => `${name}: &${name} [${`*${'abcdefghi'[at]},`.repeat(10)}]\n`).join('')}`,
        ),
      },
      { weight: 1, arbitrary: fc.constantFrom(1_000, 100_000).map((depth) => `a: ${'['.repeat(depth)}`) },
    ),
    async read(text: string) {
      const file = join(await folder, 'kubeconfig');
      await writeFile(file, text);
      return await readKubeconfig(file);
    },
    taken: isThere,
    refuses: 'ours',
    runs: 150,
  },
  {
    name: '--kube-api-url',
    files: ['lease/kubernetes/access.ts'],
    sound: ['https://10.0.0.1:6443'],
    inputs: fc.oneof(
      hostileText,
      hostileText.map((text) => `https://${text}`),
    ),
    read: (text: string) => parseServer(text, '--kube-api-url'),
    taken: isThere,
    refuses: 'ours',
  },
  {
    name: '--kube-annotation-prefix',
    files: [],
    sound: ['flannel.alpha.coreos.com', 'a.b/c'],
    inputs: hostileText,
    read: (text: string) => annotationNames(text),
    taken: isThere,
    refuses: 'ours',
  },
  {
    name: 'an answer of the API server that is JSON',
    files: ['lease/kubernetes/client.ts', 'src/core/json.ts'],
    sound: [JSON.stringify(nodes[0])],
    inputs: hostileJson(nodes),
    read: (text: string) => JSON.stringify(parseJson(text)),
    taken: isThere,
    refuses: 'error',
  },
];

function withAnnotation(name: string, text: string): unknown {
  const [node] = nodes;
  const annotations = { ...node?.metadata.annotations, [`flannel.alpha.coreos.com/${name}`]: text };
  return { ...node, metadata: { ...node?.metadata, annotations } };
}
