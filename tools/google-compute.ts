/** What the bundle keeps of Google's SDK: the methods that are called, the messages these speak of, and REST without what it drags along. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Plugin } from 'esbuild';

/** Methods of the provider, by service. A build without one of them fails; a call without it would at run time. */
const methods: Readonly<Record<string, readonly string[]>> = {
  Firewalls: ['List'],
  GlobalOperations: ['Wait'],
  Instances: ['AggregatedList', 'Get', 'TestIamPermissions'],
  Networks: ['Get'],
  Routes: ['Delete', 'Get', 'Insert', 'List', 'TestIamPermissions'],
  Subnetworks: ['AggregatedList'],
};

const namespace = ['google', 'cloud', 'compute', 'v1'];

/** A node of protobufjs' JSON form: a namespace, a message, an enum or a service. */
interface JsonNode {
  readonly nested?: Readonly<Record<string, JsonNode>>;
  readonly methods?: Readonly<Record<string, unknown>>;
  readonly [member: string]: unknown;
}

/** A message as protobufjs resolves it. */
interface ResolvedType {
  readonly fullName: string;
  readonly fieldsArray?: readonly { resolve(): { readonly resolvedType: ResolvedType | null } }[];
}

interface ResolvedService {
  readonly methods: Readonly<Record<string, { resolve(): ResolvedMethod } | undefined>>;
}

interface ResolvedMethod {
  readonly resolvedRequestType: ResolvedType;
  readonly resolvedResponseType: ResolvedType;
}

/**
 * The SDK's definitions hold the whole of Compute Engine, 12 MB of JSON, which each client parses, prints and hashes when it is made.
 * Only what the methods above reach is kept: 80 KB of it.
 */
export const pruneGoogleProtos: Plugin = {
  name: 'prune-google-protos',
  setup(context) {
    context.onLoad({ filter: /@google-cloud\/compute\/build\/protos\/protos\.json$/ }, async ({ path }) => {
      const json = JSON.parse(await readFile(path, 'utf8')) as JsonNode;
      const protobuf = createRequire(createRequire(path).resolve('google-gax'))('protobufjs');
      const kept = pruned(json, reached(protobuf.Root.fromJSON(json)));
      return { contents: JSON.stringify(kept), loader: 'json' };
    });
  },
};

/** Full names of the services and of all messages and enums that their methods lead to. */
function reached(root: { lookupService(path: readonly string[]): ResolvedService }): ReadonlySet<string> {
  const found = new Set<string>();
  const pending: ResolvedType[] = [];
  for (const [service, names] of Object.entries(methods)) {
    const path = [...namespace, service];
    found.add(`.${path.join('.')}`);
    for (const name of names) {
      const method = root.lookupService(path).methods[name]?.resolve();
      if (!method) throw new Error(`Google's SDK has no method ${service}.${name}`);
      pending.push(method.resolvedRequestType, method.resolvedResponseType);
    }
  }
  for (let type = pending.pop(); type !== undefined; type = pending.pop()) {
    if (found.has(type.fullName)) continue;
    found.add(type.fullName);
    for (const field of type.fieldsArray ?? []) {
      const { resolvedType } = field.resolve();
      if (resolvedType) pending.push(resolvedType);
    }
  }
  return found;
}

/** The tree with those that were reached, what lies around them, and of services the methods that are called. */
function pruned(node: JsonNode, kept: ReadonlySet<string>, name = ''): JsonNode {
  const nested = Object.entries(node.nested ?? {}).flatMap(([key, child]): readonly [string, JsonNode][] => {
    const childName = `${name}.${key}`;
    const holds = kept.has(childName) || [...kept].some((each) => each.startsWith(`${childName}.`));
    return holds ? [[key, pruned(child, kept, childName)]] : [];
  });
  const wanted = methods[name.split('.').at(-1) ?? ''];
  const own =
    node.methods && wanted
      ? { methods: Object.fromEntries(Object.entries(node.methods).filter(([key]) => wanted.includes(key))) }
      : {};
  const { nested: _, ...rest } = node;
  return { ...rest, ...own, ...(nested.length > 0 ? { nested: Object.fromEntries(nested) } : {}) };
}

/** Parts of the SDK's core that its REST clients load and that nothing here calls. */
const unused =
  /google-gax\/build\/(?:protos\/(?:iam_service|locations|operations)\.js|src\/(?:iamService|locationService)\.js)$/;

/** What takes the place of the core's entry point: no gRPC. */
const restOnly = `
exports.fallback = require('./build/src/fallback.js');
exports.loggingUtils = require('google-logging-utils');
exports.decodeAnyProtosInArray = require('./build/src/util.js').decodeAnyProtosInArray;
`;

/** The SDK's clients speak REST alone and load gRPC all the same; and its library of credentials where tokens come from elsewhere. */
export const googleRestOnly: Plugin = {
  name: 'google-rest-only',
  setup(context) {
    context.onLoad({ filter: /google-gax\/build\/src\/index\.js$/ }, ({ path }) => ({
      contents: restOnly,
      resolveDir: path.slice(0, -'/build/src/index.js'.length),
      loader: 'js',
    }));
    context.onLoad({ filter: unused }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
    context.onLoad({ filter: /google-gax\/build\/src\/fallback\.js$/ }, async ({ path }) => {
      const eager = 'const google_auth_library_1 = require("google-auth-library");';
      const lazy =
        'const google_auth_library_1 = { get GoogleAuth() { return require("google-auth-library").GoogleAuth; } };';
      const source = await readFile(path, 'utf8');
      if (!source.includes(eager))
        throw new Error('Google’s SDK loads its credentials in a way this build does not know');
      return { contents: source.replace(eager, lazy), loader: 'js' };
    });
  },
};
