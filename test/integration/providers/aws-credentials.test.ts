/** Where aws-vpc gets its credentials from: each source of the SDK's own chain, in a process with that environment alone. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type MetadataServer, startMetadataServer } from '../../clouds/aws/imds.ts';
import { type AwsInstance, type AwsWorld, createAwsWorld } from '../../clouds/aws/world.ts';

const run = promisify(execFile);

let world: AwsWorld;
let node: AwsInstance;
let metadata: MetadataServer;
let folder: string;
const servers: Server[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-aws-'));
  world = await createAwsWorld();
  node = await world.runInstance(world.explicitSubnet, '10.0.1.10');
  metadata = await startMetadataServer({ metadata: node.metadata });
});

afterEach(() => {
  metadata.setMetadata(node.metadata);
  metadata.setFaults({ disabled: false, silent: false });
  world.proxy.resetLog();
  for (const server of servers.splice(0)) server.close();
});

afterAll(async () => {
  await metadata?.stop();
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('credentials for EC2', () => {
  it('come from the instance’s role, and the Region from the metadata server', async () => {
    const { AWS_ENDPOINT_URL_EC2 = '' } = world.environment();

    expect(await resolve({ AWS_ENDPOINT_URL_EC2 })).toMatchObject({
      kind: 'resolved',
      nextHop: { nicId: node.nicId },
    });
    expect(world.proxy.log).toMatchObject([{ action: 'DescribeNetworkInterfaces', caller: `node/${node.id}` }]);
  });

  it('come from the environment before the role', async () => {
    const keys = world.proxy.roles.issue('node', 'from-the-environment');

    expect(await resolve(world.environment(keys))).toMatchObject({ kind: 'resolved' });
    expect(world.proxy.log[0]).toMatchObject({ caller: 'node/from-the-environment' });
  });

  it('come from a profile of the shared file', async () => {
    const keys = world.proxy.roles.issue('node', 'from-a-profile');
    const file = join(folder, 'credentials');
    const lines = ['[routes]', `aws_access_key_id = ${keys.accessKeyId}`];
    lines.push(`aws_secret_access_key = ${keys.secretAccessKey}`, `aws_session_token = ${keys.sessionToken}`);
    await writeFile(file, lines.join('\n'), { mode: 0o600 });

    const environment = { ...world.environment(), AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: 'routes' };
    expect(await resolve(environment)).toMatchObject({ kind: 'resolved' });
    expect(world.proxy.log[0]).toMatchObject({ caller: 'node/from-a-profile' });
  });

  it('come from a container’s credential server (EKS Pod Identity, ECS)', async () => {
    const keys = world.proxy.roles.issue('node', 'from-a-container');
    const url = await serve((request, response) => {
      response.statusCode = request.headers.authorization === 'pod-token' ? 200 : 401;
      const { accessKeyId, secretAccessKey, sessionToken } = keys;
      const Expiration = new Date(Date.now() + 3_600_000).toISOString();
      const body = { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: sessionToken, Expiration };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(body));
    });
    const container = { AWS_CONTAINER_CREDENTIALS_FULL_URI: url, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'pod-token' };

    expect(await resolve({ ...world.environment(), ...container })).toMatchObject({ kind: 'resolved' });
    expect(world.proxy.log[0]).toMatchObject({ caller: 'node/from-a-container' });
  });

  it('come from a web identity token (IRSA)', async () => {
    const keys = world.proxy.roles.issue('node', 'from-a-token');
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'header.payload.signature');
    const sts = await serve((request, response) => {
      request.resume();
      response.setHeader('content-type', 'text/xml');
      response.end(
        `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${keys.accessKeyId}</AccessKeyId><SecretAccessKey>${keys.secretAccessKey}</SecretAccessKey><SessionToken>${keys.sessionToken}</SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
      );
    });
    const identity = {
      AWS_ENDPOINT_URL_STS: sts,
      AWS_ROLE_ARN: 'arn:aws:iam::000000000000:role/node',
      AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
    };

    expect(await resolve({ ...world.environment(), ...identity })).toMatchObject({ kind: 'resolved' });
    expect(world.proxy.log[0]).toMatchObject({ caller: 'node/from-a-token' });
  });

  it('are waited for no longer than the call may take: a token service that is silent keeps nothing from its end', async () => {
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'header.payload.signature');
    const silent = await serve((request) => void request.resume());
    const identity = {
      AWS_ENDPOINT_URL_STS: silent,
      AWS_ROLE_ARN: 'arn:aws:iam::000000000000:role/node',
      AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
    };

    const asked = performance.now();
    const answer = await resolve({ ...world.environment(), ...identity }, 1_000);
    // The SDK by itself asks three times, and waits half a minute for each answer.
    expect(performance.now() - asked).toBeLessThan(15_000);
    expect(answer).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('no answer') });
  });

  it('are asked for by name where the instance has no role', async () => {
    const { role, ...bare } = node.metadata;
    metadata.setMetadata(bare);

    expect(await resolve(world.environment())).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('no role is attached to this instance'),
      hint: expect.stringContaining('attach a role'),
    });
    expect(world.proxy.log).toEqual([]);
  });

  it('may be late: a metadata server that does not answer now is asked again', async () => {
    metadata.setFaults({ silent: true });

    expect(await resolve(world.environment())).toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      hint: expect.stringContaining('hop-limit 2'),
    });
  });

  it('are asked for where every source is switched off', async () => {
    expect(await resolve({ ...world.environment(), AWS_EC2_METADATA_DISABLED: 'true' })).toMatchObject({
      code: 'PERMISSION_DENIED',
      hint: expect.stringContaining('attach a role'),
    });
  });

  it('are asked for again when EC2 takes them no more, though they were to last for hours', async () => {
    const { AWS_ENDPOINT_URL_EC2 = '' } = world.environment();
    const given = world.proxy.roles.issue('node', 'given');
    const role = { ...(node.metadata.role ?? { name: 'node' }), ...given, expiresAt: Date.now() + 6 * 3_600_000 };
    metadata.setMetadata({ ...node.metadata, role });
    const asking = ask({ AWS_ENDPOINT_URL_EC2 });
    try {
      expect(await asking.answer()).toMatchObject({ kind: 'resolved' });
      world.proxy.roles.revoke(given);
      expect(await asking.again()).toMatchObject({ code: 'PERMISSION_DENIED' });
      const fresh = { ...role, ...world.proxy.roles.issue('node', 'fresh'), expiresAt: role.expiresAt };
      metadata.setMetadata({ ...node.metadata, role: fresh });
      expect(await asking.again()).toMatchObject({ kind: 'resolved' });
    } finally {
      asking.stop();
    }
    expect(world.proxy.log.map(({ caller }) => caller)).toEqual(['node/given', 'unknown', 'node/fresh']);
  });

  it('never show in an error', async () => {
    const keys = world.proxy.roles.issue('node', 'revoked');
    world.proxy.roles.revoke(keys);

    const shown = await resolve(world.environment(keys));

    expect(shown).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(JSON.stringify(shown)).not.toContain(keys.secretAccessKey);
    expect(JSON.stringify(shown)).not.toContain(keys.sessionToken);
  });
});

const resolveMain = new URL('../../clouds/aws/resolve-main.ts', import.meta.url).pathname;
const environmentWith = (environment: Readonly<Record<string, string>>) => ({
  ...{ HOME: folder, PATH: process.env['PATH'], AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url },
  ...environment,
});

/** What a process with only this environment finds out, in so many milliseconds. */
async function resolve(environment: Readonly<Record<string, string>>, waitMs = 30_000): Promise<unknown> {
  const asking = run(process.execPath, [resolveMain, node.address, world.vpcId, String(waitMs)], {
    ...{ env: environmentWith(environment), timeout: 60_000 },
  });
  asking.child.stdin?.end();
  return JSON.parse((await asking).stdout);
}

/** The same process, asked more than once. */
function ask(environment: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [resolveMain, node.address, world.vpcId], {
    ...{ env: environmentWith(environment), stdio: ['pipe', 'pipe', 'inherit'], timeout: 60_000 },
  });
  const answers = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => JSON.parse((await answers.next()).value ?? 'null');
  return {
    answer,
    async again(): Promise<unknown> {
      child.stdin?.write('again\n');
      return await answer();
    },
    stop: () => void child.kill('SIGKILL'),
  };
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
