/** The simulated Security Token Service: a pod's token becomes a role's credentials by the SDK's own way. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import credentials from '@alicloud/credentials';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sdkCall } from '../../clouds/alibaba/sdk.ts';
import { type Sts, startSts } from '../../clouds/alibaba/sts.ts';
import { type AlibabaWorld, createAlibabaWorld } from '../../clouds/alibaba/world.ts';
import { createAuthority } from '../../fabric/certificates.ts';

let world: AlibabaWorld;
let sts: Sts;
let folder: string;
const formerly = getCACertificates('default');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alibaba-sts-'));
  const authority = await createAuthority(folder);
  const { certFile, keyFile } = await authority.issue({ name: 'sts', hosts: ['127.0.0.1'], usage: ['serverAuth'] });
  setDefaultCACertificates([...formerly, await readFile(authority.caFile, 'utf8')]);
  world = await createAlibabaWorld();
  const tls = { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
  sts = await startSts({ keys: world.keys, tls });
});
afterAll(async () => {
  setDefaultCACertificates(formerly);
  await sts?.stop();
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Credentials as a pod gets them that has this token and is to be this role. */
async function assume(token: string, more: Readonly<Record<string, unknown>> = {}) {
  const oidcTokenFilePath = join(folder, 'token');
  await writeFile(oidcTokenFilePath, `${token}\n`);
  const client = new credentials.default(
    new credentials.Config({
      ...{ type: 'oidc_role_arn', roleArn: sts.roleArn('controller'), oidcProviderArn: sts.providerArn },
      ...{ oidcTokenFilePath, roleSessionName: 'flannel-vpc', stsEndpoint: new URL(sts.url).host, ...more },
    }),
  );
  return await client.getCredential();
}

describe('AssumeRoleWithOIDC', () => {
  it('gives credentials whose requests name whom the token was for', async () => {
    const { accessKeyId = '', accessKeySecret = '', securityToken } = await assume(sts.issueToken('controller/pod-1'));
    const call = sdkCall({ ...world, credentials: { accessKeyId, accessKeySecret, securityToken } });
    await call('DescribeVpcs');

    expect(world.requests().at(-1)).toMatchObject({ caller: 'controller/pod-1', outcome: 'ok' });
  });

  it('refuses tokens of others, old ones, other roles and unknown providers', async () => {
    const good = sts.issueToken('controller/pod-1');
    await expect(assume('a.b.c')).rejects.toThrow(/AuthenticationFail.OIDCToken.Invalid/);
    await expect(assume(`${good}x`)).rejects.toThrow(/AuthenticationFail.OIDCToken.Invalid/);
    await expect(assume(sts.issueToken('controller/pod-1', -1))).rejects.toThrow(
      /AuthenticationFail.OIDCToken.Expired/,
    );
    await expect(assume(sts.issueToken('node/i-1'))).rejects.toThrow(/AuthenticationFail.NoPermission/);
    await expect(assume(good, { oidcProviderArn: 'acs:ram::1:oidc-provider/x' })).rejects.toThrow(/EntityNotExist/);
    await expect(assume(good, { roleSessionName: 'no spaces' })).rejects.toThrow(/IllegalParam.RoleSessionName/);
    expect(sts.traffic.log.at(-1)).toMatchObject({ operation: 'AssumeRoleWithOIDC', caller: 'anonymous' });
  });
});
