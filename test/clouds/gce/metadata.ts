/**
 * A Compute Engine metadata server ("View and query VM metadata", "Predefined metadata keys"): folders and leaves as text, any
 * of it as JSON with `?recursive=true`, the header that says one means it, and access tokens of the service account.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { SimulatorAnswer, SimulatorRequest } from '../simulator/http-server.ts';
import type { MetadataKind } from '../simulator/metadata-server.ts';

export const metadataStateSchema = z.strictObject({
  project: z.string(),
  projectNumber: z.string(),
  /** Digits, more than a double holds. */
  id: z.string(),
  name: z.string(),
  zone: z.string(),
  nics: z.array(
    z.strictObject({
      ip: z.string(),
      ipv6s: z.array(z.string()),
      mac: z.string(),
      /** `PROJECT_NUMBER/NETWORK`: of a Shared VPC's host project, where that is its network. */
      network: z.string(),
      mtu: z.number(),
      gateway: z.string(),
      subnetmask: z.string(),
    }),
  ),
  /** Absent: the instance has none. */
  serviceAccount: z
    .strictObject({
      email: z.string(),
      scopes: z.array(z.string()),
      token: z.string(),
      /** Wall clock milliseconds. */
      expiresAt: z.number(),
    })
    .optional(),
});
export type MetadataState = z.infer<typeof metadataStateSchema>;

/** A folder is an object or an array; a leaf is text, or a list of texts, one in each line. */
type Tree = string | Leaves | readonly Tree[] | { readonly [name: string]: Tree };
interface Leaves {
  readonly leaf: readonly string[];
}

const prefix = '/computeMetadata/v1';
const flavor = { 'metadata-flavor': 'Google', server: 'Metadata Server for VM' };

export const gceMetadata: MetadataKind<MetadataState> = { schema: metadataStateSchema, answer };

function answer(state: MetadataState, { method, url, headers }: SimulatorRequest): SimulatorAnswer {
  const fail = (status: number, text: string): SimulatorAnswer => ({
    status,
    headers: { ...flavor, 'content-type': 'text/html; charset=UTF-8' },
    body: `<!DOCTYPE html>\n<title>Error ${status}</title>\n<p>${text}</p>\n`,
  });
  // It serves whoever is on the machine, and nobody who comes through a proxy.
  if (headers['x-forwarded-for'] !== undefined) return fail(403, 'X-Forwarded-For is not allowed.');
  if (headers['metadata-flavor'] !== 'Google') return fail(403, 'Missing Metadata-Flavor:Google header.');
  if (method !== 'GET') return fail(405, 'Method not allowed.');
  if (!url.pathname.startsWith(prefix)) return fail(404, 'Not found.');
  const path = url.pathname.slice(prefix.length);
  const { searchParams: query } = url;
  const account = state.serviceAccount;
  const token = /^\/instance\/service-accounts\/([^/]+)\/token$/.exec(path)?.[1];
  if (token !== undefined) {
    if (!account || (token !== 'default' && token !== account.email)) return fail(404, 'Not found.');
    const expires_in = Math.max(0, Math.min(3599, Math.floor((account.expiresAt - Date.now()) / 1000)));
    const body = { access_token: account.token, expires_in, token_type: 'Bearer' };
    return { status: 200, headers: { ...flavor, 'content-type': 'application/json' }, body: JSON.stringify(body) };
  }
  const unknown = [...query.keys()].find((name) => !['recursive', 'alt', 'timeout_sec', 'last_etag'].includes(name));
  if (unknown !== undefined) return fail(400, `Unknown parameter ${unknown}.`);
  const tree = at(treeOf(state), path);
  if (tree === undefined) return fail(404, 'Not found.');
  const recursive = query.get('recursive')?.toLowerCase() === 'true';
  const folder = isFolder(tree);
  if (folder && !path.endsWith('/') && !recursive) {
    return { status: 301, headers: { ...flavor, location: `${url.pathname}/${url.search}` } };
  }
  const json = query.get('alt') === 'json' || (folder && recursive && query.get('alt') !== 'text');
  const text = json ? jsonOf(tree) : textOf(tree);
  return {
    status: 200,
    headers: {
      ...flavor,
      'content-type': json ? 'application/json' : 'application/text',
      etag: createHash('sha256').update(text).digest('hex').slice(0, 16),
    },
    body: text,
  };
}

function treeOf(state: MetadataState): Tree {
  const { project, projectNumber, id, name, zone, nics, serviceAccount: account } = state;
  const accountTree: Tree | undefined = account && {
    aliases: { leaf: ['default'] },
    email: account.email,
    scopes: { leaf: account.scopes },
  };
  return {
    instance: {
      attributes: {},
      hostname: `${name}.${zone}.c.${project}.internal`,
      id,
      'machine-type': `projects/${projectNumber}/machineTypes/e2-small`,
      name,
      'network-interfaces': nics.map((nic) => {
        const [number, network] = nic.network.split('/');
        return {
          'access-configs': [],
          'dns-servers': { leaf: ['169.254.169.254'] },
          'forwarded-ips': [],
          gateway: nic.gateway,
          ip: nic.ip,
          'ip-aliases': [],
          ...(nic.ipv6s.length === 0 ? {} : { ipv6s: { leaf: nic.ipv6s } }),
          mac: nic.mac,
          mtu: String(nic.mtu),
          network: `projects/${number}/networks/${network}`,
          subnetmask: nic.subnetmask,
          'target-instance-ips': [],
        };
      }),
      'service-accounts': account && accountTree ? { [account.email]: accountTree, default: accountTree } : {},
      tags: { leaf: [] },
      zone: `projects/${projectNumber}/zones/${zone}`,
    },
    project: { attributes: {}, 'numeric-project-id': projectNumber, 'project-id': project },
    universe: { 'universe-domain': 'googleapis.com' },
  };
}

function at(tree: Tree, path: string): Tree | undefined {
  let found: Tree | undefined = tree;
  for (const part of path.split('/').filter((text) => text !== '')) {
    if (found === undefined || !isFolder(found)) return undefined;
    const children: Readonly<Record<string, Tree>> = Object.fromEntries(childrenOf(found));
    found = children[decodeURIComponent(part)];
  }
  return found;
}

function isLeaves(tree: Tree): tree is Leaves {
  return typeof tree === 'object' && !Array.isArray(tree) && 'leaf' in tree;
}

function isFolder(tree: Tree): boolean {
  return typeof tree === 'object' && !isLeaves(tree);
}

function childrenOf(tree: Tree): readonly (readonly [string, Tree])[] {
  return Object.entries(tree as Readonly<Record<string, Tree>>);
}

/** A leaf's text, or the names in a folder, folders among them with a slash. */
function textOf(tree: Tree): string {
  if (typeof tree === 'string') return tree;
  if (isLeaves(tree)) return tree.leaf.join('\n');
  return childrenOf(tree)
    .map(([name, child]) => `${name}${isFolder(child) ? '/' : ''}\n`)
    .join('');
}

const numbers = new Set(['id', 'numericProjectId', 'mtu']);

/** Names in camel case, ids and sizes as numbers, beyond what a double holds. */
function jsonOf(tree: Tree, name = ''): string {
  if (typeof tree === 'string') return numbers.has(name) ? tree : JSON.stringify(tree);
  if (isLeaves(tree)) return JSON.stringify(tree.leaf);
  if (Array.isArray(tree)) return `[${tree.map((child) => jsonOf(child)).join(',')}]`;
  const members = childrenOf(tree).map(([key, child]) => {
    const camel = key.includes('@') ? key : key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return `${JSON.stringify(camel)}:${jsonOf(child, camel)}`;
  });
  return `{${members.join(',')}}`;
}
