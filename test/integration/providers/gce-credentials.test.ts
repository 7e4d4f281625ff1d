/** Who gce is to Compute Engine, and who it says that this machine is: the metadata server, files of credentials, what goes wrong. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/gce/gce.ts';
import type { CloudProvider } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { Logger } from '../../../src/core/log.ts';
import { createGceWorld, type GceInstance, type GceWorld } from '../../clouds/gce/world.ts';
import { ip } from '../../support/addresses.ts';

type Metadata = Awaited<ReturnType<GceWorld['startMetadata']>>;

let world: GceWorld;
let node: GceInstance;
let metadata: Metadata;
let folder: string;
const made: CloudProvider[] = [];
const servers: Server[] = [];
/** Everything that was logged or thrown, as a person would see it. */
const said: string[] = [];
const signal = () => AbortSignal.timeout(20_000);

const note = (message: string, fields?: object): void => void said.push(`${message} ${inspect(fields, { depth: 20 })}`);
const logger: Logger = { debug: note, info: note, warn: note, error: note };

function provider(environment: Readonly<Record<string, string>>, config: { network?: string } = {}): CloudProvider {
  const all = { HOME: folder, ...environment };
  const one = createProvider({ config, logger, clock: systemClock, random: Math.random, environment: all });
  made.push(one);
  return one;
}

const claim = () => ({ address: ip(node.address), instanceId: node.id });

async function callerOf(environment: Readonly<Record<string, string>>): Promise<string | undefined> {
  const [resolution] = await provider(environment).resolve([claim()], signal());
  expect(resolution).toMatchObject({ kind: 'resolved', nextHop: { instanceId: node.id } });
  return world.requests().at(-1)?.caller;
}

/** The error, after everything of it was noted. */
async function failure(environment: Readonly<Record<string, string>>): Promise<unknown> {
  const error: unknown = await provider(environment)
    .resolve([claim()], signal())
    .catch((cause: unknown) => cause);
  said.push(inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error));
  return error;
}

async function serve(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-gce-'));
  world = await createGceWorld();
  node = await world.runInstance(world.subnets[0], '10.0.1.10');
  metadata = await world.startMetadata(node);
});

beforeEach(() => world.resetRequests());

afterEach(async () => {
  metadata.server.setState(node.metadata.state);
  metadata.server.setFaults({ status: null, silent: false, delayMs: 0 });
  world.clearFaults();
  for (const one of made.splice(0)) await one.close();
  for (const server of servers.splice(0)) server.close();
});

afterAll(async () => {
  await metadata?.stop();
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('credentials for Compute Engine', () => {
  it('are the instance’s service account’s, asked for once', async () => {
    const before = metadata.server.requests.length;
    const by = provider(metadata.environment);
    await by.resolve([claim()], signal());
    await by.resolve([claim()], signal());

    expect(world.requests().map(({ caller }) => caller)).toEqual([`node/${node.id}`, `node/${node.id}`]);
    expect(metadata.server.requests.slice(before).filter((line) => line.includes('token'))).toHaveLength(1);
  });

  it('are asked for anew before they end', async () => {
    const ends = { ...node.metadata.state.serviceAccount, expiresAt: Date.now() + 30_000 };
    metadata.server.setState({ ...node.metadata.state, serviceAccount: ends as never });
    const before = metadata.server.requests.length;
    const by = provider(metadata.environment);
    await by.resolve([claim()], signal());
    await by.resolve([claim()], signal());

    expect(metadata.server.requests.slice(before).filter((line) => line.includes('token'))).toHaveLength(2);
  });

  it('come from workload identity federation for who is no instance', async () => {
    expect(await callerOf(world.operatorEnvironment('controller', 'c-1'))).toBe('controller/c-1');
    expect(await callerOf(world.operatorEnvironment('reader', 'r-1'))).toBe('reader/r-1');
  });

  it('of the file that is named go before the instance’s', async () => {
    const { GOOGLE_APPLICATION_CREDENTIALS: file = '' } = world.operatorEnvironment('controller', 'c-2');

    expect(await callerOf({ ...metadata.environment, GOOGLE_APPLICATION_CREDENTIALS: file })).toBe('controller/c-2');
  });

  it('of gcloud’s own file are taken where none is named', async () => {
    const { GOOGLE_APPLICATION_CREDENTIALS: file = '' } = world.operatorEnvironment('controller', 'c-3');
    const config = await mkdtemp(join(folder, 'gcloud-'));
    await writeFile(join(config, 'application_default_credentials.json'), await readFile(file));

    expect(await callerOf({ ...metadata.environment, CLOUDSDK_CONFIG: config })).toBe('controller/c-3');
  });

  it('that are not there say what to do', async () => {
    const { serviceAccount: _, ...without } = node.metadata.state;
    metadata.server.setState(without);
    expect(await failure(metadata.environment)).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('no service account'),
      hint: expect.stringContaining('set-service-account'),
    });
    expect(
      await failure({ ...metadata.environment, GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json' }),
    ).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('GOOGLE_APPLICATION_CREDENTIALS'),
      hint: expect.stringContaining('file of credentials'),
    });
  });

  it('that are refused are asked for anew by the next call', async () => {
    const by = provider(metadata.environment);
    const account = node.metadata.state.serviceAccount;
    metadata.server.setState({
      ...node.metadata.state,
      serviceAccount: { ...account, token: 'ya29.revoked' } as never,
    });

    await expect(by.resolve([claim()], signal())).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      details: { status: 401 },
    });
    metadata.server.setState(node.metadata.state);
    expect(await by.resolve([claim()], signal())).toMatchObject([{ kind: 'resolved' }]);
  });

  it('whose scopes do not reach are told from a missing right', async () => {
    const narrow = await world.runInstance(world.subnets[0], '10.0.1.11', {
      scopes: ['https://www.googleapis.com/auth/devstorage.read_only'],
    });
    const own = await world.startMetadata(narrow);
    try {
      expect(await failure(own.environment)).toMatchObject({
        code: 'PERMISSION_DENIED',
        hint: expect.stringContaining('scopes'),
      });
    } finally {
      await own.stop();
    }
  });

  it('go through the proxy that the environment names, and the metadata server is asked without', async () => {
    const seen: string[] = [];
    const proxy = await serve((request, response) => {
      seen.push(request.url ?? '');
      response.writeHead(502).end('no way');
    });

    expect(
      await failure({ ...metadata.environment, HTTP_PROXY: `http://${proxy}`, HTTPS_PROXY: `http://${proxy}` }),
    ).toMatchObject({
      code: 'TRANSIENT',
    });
    expect(seen).toEqual([expect.stringContaining('/instances/vm-1')]);
    seen.length = 0;
    const around = { HTTP_PROXY: `http://${proxy}`, NO_PROXY: '127.0.0.1' };
    expect(await callerOf({ ...metadata.environment, ...around })).toBe(`node/${node.id}`);
    expect(seen).toEqual([]);
  });

  it('never go in clear to somewhere that is not the operator’s own', async () => {
    const before = metadata.server.requests.length;
    expect(await failure({ ...metadata.environment, FLANNEL_VPC_GCE_ENDPOINT: 'http://203.0.113.7' })).toMatchObject({
      code: 'CONFIG_INVALID',
    });
    expect(metadata.server.requests.slice(before).filter((line) => line.includes('token'))).toEqual([]);
  });

  it('are not printed by Google’s libraries, whatever the environment asks of them', async () => {
    const printed: unknown[] = [];
    const { error } = console;
    console.error = (...parts: unknown[]) => void printed.push(parts);
    process.env['GOOGLE_SDK_NODE_LOGGING'] = 'all';
    try {
      expect(await callerOf(world.operatorEnvironment('controller', 'quiet'))).toBe('controller/quiet');
    } finally {
      console.error = error;
    }
    expect(process.env['GOOGLE_SDK_NODE_LOGGING']).toBeUndefined();
    expect(printed).toEqual([]);
  });

  it('are in no line, error, hint or cause', async () => {
    const secrets = [node.metadata.state.serviceAccount?.token ?? 'no token'];
    const key = `-----BEGIN PRIVATE KEY-----\\n${'QUJDREVG'.repeat(20)}\\n-----END PRIVATE KEY-----`;
    const file = join(folder, 'key.json');
    const content = { type: 'service_account', client_email: 'a@b.iam.gserviceaccount.com', private_key: key };
    await writeFile(file, JSON.stringify(content));
    secrets.push('QUJDREVGQUJDREVG');
    expect(await failure({ ...metadata.environment, GOOGLE_APPLICATION_CREDENTIALS: file })).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    const garbled = join(folder, 'garbled.json');
    await writeFile(garbled, 'hush-hush {');
    secrets.push('hush-hush');
    expect(await failure({ ...metadata.environment, GOOGLE_APPLICATION_CREDENTIALS: garbled })).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    const federation = world.operatorEnvironment('controller', 'secret');
    const named = JSON.parse(await readFile(federation['GOOGLE_APPLICATION_CREDENTIALS'] ?? '', 'utf8'));
    await writeFile(named.credential_source.file, 'subject-of-nobody-that-is-secret');
    secrets.push('subject-of-nobody-that-is-secret');
    expect(await failure(federation)).toMatchObject({ code: 'PERMISSION_DENIED' });
    for (const effect of [
      { kind: 'cut' },
      { kind: 'status', status: 502 },
      { kind: 'refuse', as: 'denied' },
    ] as const) {
      world.inject({ operation: /instances/, effect });
      expect(await failure(metadata.environment)).toMatchObject({ message: expect.any(String) });
    }
    metadata.server.setState({
      ...node.metadata.state,
      serviceAccount: { ...node.metadata.state.serviceAccount, token: 'ya29.not-yours' } as never,
    });
    secrets.push('ya29.not-yours');
    expect(await failure(metadata.environment)).toMatchObject({ details: { status: 401 } });

    const everything = said.join('\n');
    // It is all there, and would be found.
    expect(everything).toContain('Compute Engine could not');
    expect(everything).toContain('(GOOGLE_APPLICATION_CREDENTIALS)');
    for (const secret of secrets) expect(everything).not.toContain(secret);
  });
});

describe('the metadata server', () => {
  const identity = (environment: Readonly<Record<string, string>>) => provider(environment).identify(signal());

  it('that does not answer, answers with nonsense or is somebody else’s is told with advice', async () => {
    metadata.server.setFaults({ silent: true });
    await expect(identity(metadata.environment)).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      hint: expect.stringContaining('host’s network'),
    });
    metadata.server.setFaults({ silent: false, status: 503 });
    await expect(identity(metadata.environment)).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      details: { status: 503 },
    });
    await expect(identity({ GCE_METADATA_HOST: '127.0.0.1:1' })).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      hint: expect.stringContaining('Compute Engine instance'),
    });
    await expect(identity({ GCE_METADATA_HOST: 'https://metadata' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const other = await serve((_, response) => response.end('<html>log in</html>'));
    await expect(identity({ GCE_METADATA_HOST: other })).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      message: expect.stringContaining('not answered by Google'),
    });
    const strange = await serve((_, response) => response.setHeader('metadata-flavor', 'Google').end('../../x'));
    await expect(identity({ GCE_METADATA_HOST: strange })).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
    const endless = await serve((_, response) => {
      response.setHeader('metadata-flavor', 'Google');
      response.on('error', () => {});
      response.end('x'.repeat(3_000_000));
    });
    await expect(identity({ GCE_METADATA_HOST: endless })).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      message: expect.stringContaining('too long'),
    });
  });

  it('is not asked for what people keep in attributes', async () => {
    const before = metadata.server.requests.length;
    await identity(metadata.environment);

    expect(metadata.server.requests.slice(before).sort()).toEqual([
      'GET /computeMetadata/v1/instance/name',
      'GET /computeMetadata/v1/instance/network-interfaces/?recursive=true',
      'GET /computeMetadata/v1/instance/zone',
      'GET /computeMetadata/v1/project/numeric-project-id',
      'GET /computeMetadata/v1/project/project-id',
    ]);
  });

  it('ends at once when it is given up', async () => {
    metadata.server.setFaults({ silent: true });
    const giveUp = new AbortController();
    const asked = provider(metadata.environment).identify(giveUp.signal);
    setTimeout(() => giveUp.abort(), 50);

    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('tells the project of the nodes where nothing else does', async () => {
    const away = { FLANNEL_VPC_GCE_ENDPOINT: world.url, GCE_METADATA_HOST: '127.0.0.1:1' };
    const { GOOGLE_CLOUD_PROJECT: project = '', ...rest } = {
      ...world.operatorEnvironment('controller', 'c-9'),
      ...away,
    };

    await expect(provider(rest).resolve([claim()], signal())).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      hint: expect.stringContaining('GOOGLE_CLOUD_PROJECT'),
    });
    const named = provider(rest, { network: world.networkId });
    expect(await named.resolve([claim()], signal())).toMatchObject([{ kind: 'resolved' }]);
    const told = provider({ ...rest, GOOGLE_CLOUD_PROJECT: project });
    expect(await told.resolve([claim()], signal())).toMatchObject([{ kind: 'resolved' }]);
  });
});
