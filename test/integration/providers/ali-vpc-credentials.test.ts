/** Where ali-vpc gets its credentials from, and that none of them shows anywhere. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/ali-vpc/ali-vpc.ts';
import { aliVpcSchema } from '../../../providers/ali-vpc/config.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { Logger } from '../../../src/core/log.ts';
import type { AccessKey } from '../../clouds/alibaba/keys.ts';
import type { EcsMetadata } from '../../clouds/alibaba/metadata.ts';
import type { MetadataHere } from '../../clouds/alibaba/metadata-here.ts';
import { type Sts, startSts } from '../../clouds/alibaba/sts.ts';
import { type AlibabaWorld, createAlibabaWorld } from '../../clouds/alibaba/world.ts';
import type { CloudInstance } from '../../clouds/cloud-world.ts';
import { createAuthority } from '../../fabric/certificates.ts';
import { ip } from '../../support/addresses.ts';

const formerly = getCACertificates('default');
let world: AlibabaWorld;
let node: CloudInstance;
let state: EcsMetadata;
let metadata: MetadataHere;
let sts: Sts;
let folder: string;
let endpoint: Readonly<Record<string, string>>;
const secrets: string[] = [];
/** Everything that was logged, printed or thrown. */
const shown: string[] = [];
const print = { out: process.stdout.write, err: process.stderr.write };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-ali-'));
  const authority = await createAuthority(folder);
  const { certFile, keyFile } = await authority.issue({ name: 'sts', hosts: ['127.0.0.1'], usage: ['serverAuth'] });
  setDefaultCACertificates([...formerly, await readFile(authority.caFile, 'utf8')]);
  world = await createAlibabaWorld();
  remember(world);
  node = await world.runInstance(world.subnets[0], '10.0.1.10');
  state = node.metadata.state as EcsMetadata;
  metadata = await world.startMetadata(node);
  const tls = { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
  sts = await startSts({ keys: world.keys, tls });
  endpoint = world.nodeEnvironment(node);
  for (const [stream, write] of [
    [process.stdout, print.out],
    [process.stderr, print.err],
  ] as const) {
    stream.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
      shown.push(String(chunk));
      return write.call(stream, chunk, ...rest);
    }) as typeof stream.write;
  }
});

afterEach(() => {
  metadata.show(state);
  metadata.server.setFaults({ status: null, silent: false });
  world.resetRequests();
});

afterAll(async () => {
  process.stdout.write = print.out;
  process.stderr.write = print.err;
  setDefaultCACertificates(formerly);
  await sts?.stop();
  await metadata?.stop();
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Keeps every key that the cloud gives out. */
function remember({ keys }: AlibabaWorld): void {
  const [issue, issueSession] = [keys.issue.bind(keys), keys.issueSession.bind(keys)];
  const keep = <K extends AccessKey>(key: K): K => {
    secrets.push(...[key.accessKeyId, key.accessKeySecret, key.securityToken].filter((text) => text !== undefined));
    return key;
  };
  keys.issue = (caller) => keep(issue(caller));
  keys.issueSession = (caller, seconds) => keep(issueSession(caller, seconds));
}

const recorder = (): Logger => {
  const keep = (...parts: readonly unknown[]): void => void shown.push(inspect(parts, { depth: 12 }));
  return { debug: keep, info: keep, warn: keep, error: keep };
};

/** What one call with only this environment gives, and everything that an error of it holds. */
async function resolve(environment: Readonly<Record<string, string>>, members: object = {}): Promise<unknown> {
  const provider = createProvider({
    config: aliVpcSchema.parse(members),
    logger: recorder(),
    clock: systemClock,
    random: () => 0.5,
    environment: { ...endpoint, ...environment },
  });
  try {
    const claims = [{ address: ip(node.address), networkId: world.networkId }];
    const [found] = await provider.resolve(claims, AbortSignal.timeout(20_000));
    return found?.kind;
  } catch (error) {
    shown.push(inspect(error, { depth: 12, showHidden: true }));
    return error;
  } finally {
    shown.push(inspect(provider, { depth: 12 }));
    await provider.close();
  }
}
const callers = (): readonly string[] => [...new Set(world.requests().map(({ caller }) => caller))];
const pair = ({ accessKeyId, accessKeySecret }: { accessKeyId: string; accessKeySecret: string }, prefix = '') => ({
  [`${prefix}ACCESS_KEY_ID`]: accessKeyId,
  [`${prefix}ACCESS_KEY_SECRET`]: accessKeySecret,
});

describe('credentials for Alibaba Cloud', () => {
  it('come from the instance’s role by the hardened protocol alone, and the region too', async () => {
    metadata.show({ ...state, tokens: 'required' });
    const before = metadata.server.requests.length;

    expect(await resolve({})).toBe('resolved');

    expect(callers()).toEqual([`node/${node.id}`]);
    expect(metadata.server.requests.slice(before)).toContain('PUT /latest/api/token');
  });

  it('never fall back to the unhardened protocol', async () => {
    metadata.server.setFaults({ status: 404 });
    const before = metadata.server.requests.length;

    expect(await resolve({ ALIBABA_CLOUD_REGION_ID: 'cn-hangzhou' })).toMatchObject({ code: 'PERMISSION_DENIED' });

    expect(metadata.server.requests.slice(before).filter((line) => line.startsWith('GET'))).toEqual([]);
    expect(world.requests()).toEqual([]);
  });

  it('are asked for where the instance has no role', async () => {
    const { role, ...bare } = state;
    metadata.show(bare);
    expect(role).toBeDefined();
    expect(await resolve({})).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('no credentials from the instance’s role: there is none'),
      hint: expect.stringContaining('AttachInstanceRamRole'),
    });
  });

  it('may be late: a metadata server that does not answer now is asked again', async () => {
    metadata.server.setFaults({ silent: true });
    const environment = { ALIBABA_CLOUD_REGION_ID: 'cn-hangzhou' };
    expect(await resolve(environment)).toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      hint: expect.stringContaining('100.100.100.200'),
    });
  });

  it('are renewed before they run out', async () => {
    const old = world.keys.issueSession(`node/${node.id}`, 1_000);
    const credentials = [{ from: Date.now(), ...old }];
    metadata.show({ ...state, role: { name: 'flannel-node', credentials } });
    const provider = createProvider({
      config: { routeTableIds: [] },
      logger: recorder(),
      clock: systemClock,
      random: () => 0.5,
      environment: endpoint,
    });
    const claims = [{ address: ip(node.address), networkId: world.networkId }];
    await provider.resolve(claims, AbortSignal.timeout(20_000));
    world.keys.revoke(old);
    metadata.show(state);
    await provider.resolve(claims, AbortSignal.timeout(20_000));
    await provider.close();
  });

  it('come from net-conf, as flannel had it, before anything else', async () => {
    const key = world.keys.issue('controller/netconf');
    const members = { AccessKeyID: key.accessKeyId, AccessKeySecret: key.accessKeySecret, RegionID: 'cn-hangzhou' };
    expect(await resolve(pair(world.keys.issue('controller/other')), members)).toBe('resolved');
    expect(callers()).toEqual(['controller/netconf']);
  });

  it('come from flannel’s variables, then from the SDK’s', async () => {
    const [flannels, standard] = [world.keys.issue('controller/flannel'), world.keys.issue('controller/sdk')];
    expect(await resolve({ ...pair(flannels), ...pair(standard, 'ALIBABA_CLOUD_') })).toBe('resolved');
    expect(callers()).toEqual(['controller/flannel']);
    world.resetRequests();
    expect(await resolve({ ACCESS_KEY_ID: flannels.accessKeyId, ...pair(standard, 'ALIBABA_CLOUD_') })).toBe(
      'resolved',
    );
    expect(callers()).toEqual(['controller/sdk']);
    world.resetRequests();
    const session = world.keys.issueSession('controller/session');
    const token = { ALIBABA_CLOUD_SECURITY_TOKEN: session.securityToken };
    expect(await resolve({ ...pair(session, 'ALIBABA_CLOUD_'), ...token })).toBe('resolved');
    expect(callers()).toEqual(['controller/session']);
  });

  it('come from a pod’s token, by the Security Token Service', async () => {
    const file = join(folder, 'token');
    await writeFile(file, sts.issueToken('controller/pod'));
    const environment = {
      ALIBABA_CLOUD_ROLE_ARN: sts.roleArn('controller'),
      ALIBABA_CLOUD_OIDC_PROVIDER_ARN: sts.providerArn,
      ALIBABA_CLOUD_OIDC_TOKEN_FILE: file,
      FLANNEL_VPC_ALIBABA_STS_ENDPOINT: sts.url,
    };
    expect(await resolve(environment)).toBe('resolved');
    expect(callers()).toEqual(['controller/pod']);

    await writeFile(file, sts.issueToken('controller/pod', -1));
    expect(await resolve(environment)).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('AuthenticationFail.OIDCToken.Expired'),
      hint: expect.stringContaining('trust policy'),
    });
    expect(await resolve({ ...environment, ALIBABA_CLOUD_OIDC_TOKEN_FILE: join(folder, 'none') })).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('ENOENT'),
    });
    const away = { ...environment, FLANNEL_VPC_ALIBABA_STS_ENDPOINT: 'https://127.0.0.1:1' };
    await writeFile(file, sts.issueToken('controller/pod'));
    expect(await resolve(away)).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('ECONNREFUSED') });
  });

  it('come from a server of credentials, whose answers no error repeats', async () => {
    const session = world.keys.issueSession('controller/uri');
    let body: object = {
      ...{ Code: 'Success', AccessKeyId: session.accessKeyId, AccessKeySecret: session.accessKeySecret },
      ...{ SecurityToken: session.securityToken, Expiration: new Date(session.expiresAt).toISOString() },
    };
    const server = createServer((_, response) => response.end(JSON.stringify(body)));
    await new Promise<void>((done) => void server.listen(0, '127.0.0.1', () => done()));
    const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const environment = { ALIBABA_CLOUD_CREDENTIALS_URI: uri };
    expect(await resolve(environment)).toBe('resolved');
    expect(callers()).toEqual(['controller/uri']);
    body = { ...body, SecurityToken: undefined };
    expect(await resolve(environment)).toMatchObject({ code: 'PERMISSION_DENIED' });
    server.close();
  });

  it('that are wrong are told without being shown', async () => {
    const key = world.keys.issue('controller/wrong');
    const wrong = { ...key, accessKeySecret: 'wRoNgSeCrEt0123456789wRoNgSe' };
    expect(await resolve(pair(wrong))).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('SignatureDoesNotMatch'),
      hint: expect.stringContaining('clock'),
    });
    const unknown = { accessKeyId: 'LTAI5tNobodysKey', accessKeySecret: 'nObOdYsSeCrEt0123456789' };
    expect(await resolve(pair(unknown))).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('are missing where the metadata server is switched off and nothing else is given', async () => {
    const environment = { ALIBABA_CLOUD_ECS_METADATA_DISABLED: 'true', ALIBABA_CLOUD_REGION_ID: 'cn-hangzhou' };
    expect(await resolve(environment)).toMatchObject({
      code: 'PERMISSION_DENIED',
      hint: expect.stringContaining('ALIBABA_CLOUD_ECS_METADATA_DISABLED'),
    });
  });

  it('do not travel in clear', async () => {
    const environment = { FLANNEL_VPC_ALIBABA_ENDPOINT: 'http://vpc.example.com' };
    expect(await resolve(environment)).toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('https'),
    });
  });

  it('were shown nowhere in all of this', () => {
    const text = shown.join('\n');
    expect(shown.length).toBeGreaterThan(20);
    expect(text).toContain('SignatureDoesNotMatch');
    expect(secrets.length).toBeGreaterThan(15);
    for (const secret of [...secrets, 'wRoNgSeCrEt', 'LTAI5tNobodysKey', 'nObOdYsSeCrEt']) {
      expect(text).not.toContain(secret);
    }
  });
});
