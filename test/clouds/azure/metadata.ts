/** Azure's instance metadata service, as far as a node asks it: versions, the instance, and tokens of its managed identities. */
import * as z from 'zod';
import type { SimulatorAnswer, SimulatorRequest } from '../simulator/http-server.ts';
import { type MetadataKind, type MetadataServer, startMetadataServer as start } from '../simulator/metadata-server.ts';
import { answerTokenRequest, isTokenPath } from './token-endpoint.ts';

export const metadataStateSchema = z.strictObject({
  compute: z.strictObject({
    azEnvironment: z.string(),
    location: z.string(),
    name: z.string(),
    resourceGroupName: z.string(),
    resourceId: z.string(),
    subscriptionId: z.string(),
    /** Empty but for a member of a scale set. */
    vmScaleSetName: z.string(),
    vmId: z.string(),
    /** Empty in a region without zones. */
    zone: z.string(),
  }),
  interfaces: z.array(
    z.strictObject({
      /** Capitals and no separators. */
      mac: z.string().regex(/^[0-9A-F]{12}$/),
      addresses4: z.array(z.string()),
      /** CIDR. */
      subnets4: z.array(z.string()),
      addresses6: z.array(z.string()),
      subnets6: z.array(z.string()),
    }),
  ),
  identities: z.array(
    z.strictObject({
      clientId: z.string(),
      objectId: z.string(),
      resourceId: z.string().nullable(),
      token: z.string(),
      expiresAt: z.number(),
    }),
  ),
});
export type MetadataState = z.infer<typeof metadataStateSchema>;

/** Of `/metadata/versions`. */
const apiVersions = ['2019-11-01', '2020-09-01', '2021-01-01', '2021-02-01', '2021-12-13', '2023-07-01', '2023-11-15'];

export const azureMetadata: MetadataKind<MetadataState> = { schema: metadataStateSchema, answer };

/** In this process. @param addresses each `ADDRESS:PORT` */
export async function startAzureMetadata(
  state: MetadataState,
  addresses?: readonly string[],
): Promise<MetadataServer<MetadataState>> {
  return await start(azureMetadata, state, addresses);
}

function answer(state: MetadataState, request: SimulatorRequest): SimulatorAnswer {
  const { url, method, headers } = request;
  if (isTokenPath(url.pathname)) return answerTokenRequest(state.identities, request, Date.now());
  const refuse = (status: number, error: string): SimulatorAnswer => ({ status, body: { error } });
  if (!url.pathname.startsWith('/metadata/')) return refuse(404, 'Not found');
  if (method !== 'GET') return refuse(405, 'Method not allowed. Only GET is supported');
  if (String(headers['metadata']).toLowerCase() !== 'true') {
    return refuse(400, 'Bad request: Required metadata header not specified');
  }
  if (headers['x-forwarded-for'] !== undefined) return refuse(400, 'Bad request: Requests through a proxy are refused');
  if (url.pathname === '/metadata/versions') return { status: 200, body: { apiVersions } };
  const path = /^\/metadata\/instance(?:\/([\w/]*))?$/.exec(url.pathname)?.[1];
  if (path === undefined && url.pathname !== '/metadata/instance') return refuse(404, 'Not found');
  if (!apiVersions.includes(url.searchParams.get('api-version') ?? '')) {
    const newest = apiVersions.slice(-3).reverse();
    const error = 'Bad request. api-version is invalid or was not specified in the request.';
    return { status: 400, body: { error, 'newest-versions': newest } };
  }
  return lookUp(documentOf(state), path ?? '', url.searchParams.get('format') ?? 'json');
}

function documentOf({ compute, interfaces }: MetadataState): object {
  return {
    compute: {
      ...compute,
      osType: 'Linux',
      placementGroupId: '',
      platformFaultDomain: '0',
      platformUpdateDomain: '0',
      provider: 'Microsoft.Compute',
      tags: '',
      tagsList: [],
      vmSize: 'Standard_D2s_v5',
    },
    network: {
      interface: interfaces.map(({ mac, addresses4, subnets4, addresses6, subnets6 }) => ({
        ipv4: {
          ipAddress: addresses4.map((privateIpAddress) => ({ privateIpAddress, publicIpAddress: '' })),
          subnet: subnets4.map(split),
        },
        ipv6: {
          ipAddress: addresses6.map((privateIpAddress) => ({ privateIpAddress })),
          ...(subnets6.length > 0 ? { subnet: subnets6.map(split) } : {}),
        },
        macAddress: mac,
      })),
    },
  };
}

function split(cidr: string): object {
  const [address, prefix] = cidr.split('/');
  return { address, prefix };
}

/** The node at the path; leaves only as text, and everything else as JSON, as the service has it. */
function lookUp(document: object, path: string, format: string): SimulatorAnswer {
  let node: unknown = document;
  for (const part of path.split('/').filter((name) => name !== '')) {
    node = typeof node === 'object' && node !== null ? (node as Readonly<Record<string, unknown>>)[part] : undefined;
  }
  if (node === undefined) return { status: 404, body: { error: 'Not found' } };
  const leaf = typeof node !== 'object';
  if (leaf === (format === 'text')) {
    return leaf
      ? { status: 200, headers: { 'content-type': 'text/plain' }, body: String(node) }
      : { status: 200, body: node };
  }
  return { status: 400, body: { error: `Bad request. ${leaf ? 'A leaf is' : 'Only leaves are'} available as text` } };
}
