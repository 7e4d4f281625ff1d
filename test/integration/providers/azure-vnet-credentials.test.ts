/** Who azure-vnet is to Azure: managed identities, workload identity, a client secret; and that no secret is ever shown. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/azure-vnet/azure-vnet.ts';
import type { CloudProvider } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { FlannelVpcError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/log.ts';
import { type MetadataState, startAzureMetadata } from '../../clouds/azure/metadata.ts';
import { type AzureInstance, type AzureWorld, createAzureWorld } from '../../clouds/azure/world.ts';
import { createAuthority } from '../../fabric/certificates.ts';
import { runToEnd } from '../../fabric/process.ts';

const tenant = '72f988bf-86f1-41af-91ab-2d7cd011db47';
const client = '1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed';
const askMain = fileURLToPath(new URL('../../clouds/azure/ask-main.ts', import.meta.url));

let world: AzureWorld;
let node: AzureInstance;
let folder: string;
let caFile: string;
let authority: Server;
/** Bodies of what the authority was asked for. */
let asked: string[] = [];
/** What must never be shown, and all that was. */
const secrets = new Set<string>();
let shown = '';

beforeAll(async () => {
  world = await createAzureWorld();
  node = await world.runInstance(world.subnets[0], '10.0.1.10');
  folder = await mkdtemp(join(tmpdir(), 'azure-'));
  const made = await createAuthority(folder);
  ({ caFile } = made);
  const { certFile, keyFile } = await made.issue({ name: 'authority', hosts: ['127.0.0.1'], usage: ['serverAuth'] });
  authority = await startAuthority(certFile, keyFile);
});

afterAll(async () => {
  authority?.close();
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

afterEach(() => {
  for (const secret of secrets) expect(shown).not.toContain(secret);
  shown = '';
  asked = [];
  world.clearFaults();
  world.resetRequests();
});

/** Microsoft Entra ID, as far as two credentials ask it. */
async function startAuthority(certFile: string, keyFile: string): Promise<Server> {
  const { readFile } = await import('node:fs/promises');
  const server = createServer({ cert: await readFile(certFile), key: await readFile(keyFile) }, (request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      const answer = answerOf(request.url ?? '', request.headers.host ?? '', body);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function answerOf(path: string, host: string, body: string): { readonly status: number; readonly body: unknown } {
  const base = `https://${host}/${tenant}`;
  if (path.includes('openid-configuration')) {
    return {
      status: 200,
      body: {
        ...{ issuer: `${base}/v2.0`, token_endpoint: `${base}/oauth2/v2.0/token`, jwks_uri: `${base}/keys` },
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      },
    };
  }
  asked.push(body);
  const given = new URLSearchParams(body);
  const known = ['assertion-of-the-pod', 'secret-of-the-client'];
  if (!known.includes(given.get('client_assertion') ?? given.get('client_secret') ?? '')) {
    const description = 'AADSTS70021: No matching federated identity record found for presented assertion.';
    return { status: 401, body: { error: 'invalid_client', error_description: description, error_codes: [70021] } };
  }
  const { text } = world.tokens.issue('controller/elsewhere');
  secrets.add(text);
  return { status: 200, body: { token_type: 'Bearer', expires_in: 3600, access_token: text } };
}

const print = (...parts: unknown[]): void => {
  shown += inspect(parts, { depth: 20, showHidden: true });
};
const logger: Logger = { debug: print, info: print, warn: print, error: print };

function make(environment: Readonly<Record<string, string>>): CloudProvider {
  const config = { routeTableIds: [], foreignController: false };
  return createProvider({ config, clock: systemClock, environment, logger, random: Math.random });
}

async function read(environment: Readonly<Record<string, string>>): Promise<readonly string[] | FlannelVpcError> {
  const provider = make(environment);
  try {
    const selector = { tableIds: world.tableIds, networkId: undefined, subnetIds: [] };
    return (await provider.tables(selector, AbortSignal.timeout(20_000))).map(({ id }) => id);
  } catch (error) {
    print(error);
    return error as FlannelVpcError;
  } finally {
    await provider.close();
  }
}

async function withMetadata<T>(
  change: (state: MetadataState) => MetadataState,
  use: (environment: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const state = change(node.metadata.state);
  for (const { token } of state.identities) secrets.add(token);
  const server = await startAzureMetadata(state);
  const [url = ''] = server.urls;
  try {
    return await use({ FLANNEL_VPC_AZURE_ENDPOINT: world.url, FLANNEL_VPC_AZURE_METADATA: url });
  } finally {
    await server.stop();
  }
}

/** In a process of its own, which reads certificates from its environment. */
async function ask(environment: Readonly<Record<string, string>>) {
  const { port } = authority.address() as AddressInfo;
  const env = {
    FLANNEL_VPC_AZURE_ENDPOINT: world.url,
    AZURE_AUTHORITY_HOST: `https://127.0.0.1:${port}/`,
    AZURE_TENANT_ID: tenant,
    AZURE_CLIENT_ID: client,
    NODE_EXTRA_CA_CERTS: caFile,
    AZURE_LOG_LEVEL: 'verbose',
    TYPESPEC_RUNTIME_LOG_LEVEL: 'verbose',
    DEBUG: '*',
    ...environment,
  };
  const { stdout, stderr } = await runToEnd([process.execPath, askMain, ...world.tableIds], { env });
  shown += stdout + stderr;
  const last = stdout.trim().split('\n').at(-1) ?? '';
  return JSON.parse(last) as { tables?: readonly string[]; code?: string; message?: string; hint?: string };
}

describe('a managed identity', () => {
  it('is the machine’s own, or the only one that it has', async () => {
    const [own] = node.metadata.state.identities;
    const assigned = { ...own, resourceId: '/subscriptions/s/resourceGroups/g/providers/x/y/z' } as NonNullable<
      typeof own
    >;

    expect(await withMetadata((state) => state, read)).toEqual(world.tableIds);
    expect(await withMetadata((state) => ({ ...state, identities: [assigned] }), read)).toEqual(world.tableIds);
    expect(world.requests()[0]?.caller).toBe(`node/${node.id}`);
  });

  it('is one of several by AZURE_CLIENT_ID, and without it the hint says so', async () => {
    const identities = ['a', 'b'].map((name) => {
      const { text, expiresAt } = world.tokens.issue(`controller/${name}`);
      const clientId = world.tokens.clientIdOf(`controller/${name}`);
      return { clientId, objectId: clientId, resourceId: `/subscriptions/s/${name}`, token: text, expiresAt };
    });
    const several = (state: MetadataState): MetadataState => ({ ...state, identities });

    expect(await withMetadata(several, read)).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('Multiple user assigned identities'),
      hint: expect.stringContaining('AZURE_CLIENT_ID'),
    });
    const AZURE_CLIENT_ID = identities[1]?.clientId ?? '';
    expect(await withMetadata(several, (environment) => read({ ...environment, AZURE_CLIENT_ID }))).toEqual(
      world.tableIds,
    );
    expect(world.requests().at(-1)?.caller).toBe('controller/b');
    expect(
      await withMetadata(several, (environment) => read({ ...environment, AZURE_CLIENT_ID: client })),
    ).toMatchObject({
      code: 'PERMISSION_DENIED',
      hint: expect.stringContaining(client),
    });
  });

  it('that is missing, and a server that is, are told apart', async () => {
    expect(await withMetadata((state) => ({ ...state, identities: [] }), read)).toMatchObject({
      code: 'PERMISSION_DENIED',
      hint: expect.stringContaining('az vm identity assign'),
    });
    const nobody = { FLANNEL_VPC_AZURE_ENDPOINT: world.url, FLANNEL_VPC_AZURE_METADATA: 'http://127.0.0.1:9' };
    expect(await read(nobody)).toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      hint: expect.stringContaining('AZURE_TENANT_ID'),
    });
  });

  it('whose token Azure no longer takes is refused with a word about the clock', async () => {
    const caller = `node/${node.id}`;
    const { text } = world.tokens.issue(caller, -1_000);
    const expired = (state: MetadataState): MetadataState => ({
      ...state,
      identities: state.identities.map((identity) => ({ ...identity, token: text })),
    });

    expect(await withMetadata(expired, read)).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('ExpiredAuthenticationToken'),
      hint: expect.stringContaining('clock'),
    });
  });

  it('sends no token to an address that is not private', async () => {
    const outside = { FLANNEL_VPC_AZURE_ENDPOINT: 'http://203.0.113.1:80' };
    expect(
      await withMetadata(
        (state) => state,
        (environment) => read({ ...environment, ...outside }),
      ),
    ).toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('clear'),
    });
  });
});

describe('another authority', () => {
  it('takes a pod’s token for a workload identity', async () => {
    const file = join(folder, 'token');
    await writeFile(file, 'assertion-of-the-pod');
    secrets.add('assertion-of-the-pod');

    expect(await ask({ AZURE_FEDERATED_TOKEN_FILE: file })).toEqual({ tables: world.tableIds });

    expect(asked).toHaveLength(1);
    expect(new URLSearchParams(asked[0]).get('scope')).toContain('https://management.azure.com/.default');
    expect(world.requests()[0]?.caller).toBe('controller/elsewhere');
  });

  it('refuses a token that is not known, and a file that is not there, with what to do', async () => {
    const file = join(folder, 'wrong');
    await writeFile(file, 'assertion-of-nobody');
    secrets.add('assertion-of-nobody');

    for (const AZURE_FEDERATED_TOKEN_FILE of [file, join(folder, 'missing')]) {
      expect(await ask({ AZURE_FEDERATED_TOKEN_FILE })).toMatchObject({
        code: 'PERMISSION_DENIED',
        hint: expect.stringContaining('federated'),
      });
    }
    expect(await ask({ AZURE_FEDERATED_TOKEN_FILE: file, AZURE_TENANT_ID: '' })).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('AZURE_TENANT_ID'),
    });
  });

  it('takes a client secret', async () => {
    secrets.add('secret-of-the-client');
    expect(await ask({ AZURE_CLIENT_SECRET: 'secret-of-the-client' })).toEqual({ tables: world.tableIds });
    expect(await ask({ AZURE_CLIENT_SECRET: 'secret-of-nobody' })).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('that does not answer passes by itself', async () => {
    const answer = await ask({
      AZURE_CLIENT_SECRET: 'secret-of-the-client',
      AZURE_AUTHORITY_HOST: 'https://127.0.0.1:9/',
    });
    expect(answer).toMatchObject({ code: 'TRANSIENT', hint: expect.stringContaining('AZURE_AUTHORITY_HOST') });
  });
});
