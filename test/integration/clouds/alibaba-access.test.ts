/** Who may ask the simulated Alibaba Cloud what: signatures by raw HTTP, rights through the official SDK. */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AccessKey } from '../../clouds/alibaba/keys.ts';
import { sdkCall } from '../../clouds/alibaba/sdk.ts';
import { codeOf, startTenant, type Tenant } from '../../clouds/alibaba/tenant.ts';
import type { AlibabaWorld } from '../../clouds/alibaba/world.ts';

let tenant: Tenant;
let world: AlibabaWorld;

beforeEach(async () => {
  tenant = await startTenant();
  ({ world } = tenant);
});
afterEach(async () => await world.stop());

/** A request signed by hand. `change` spoils what is sent after it was signed; `headers` are signed. */
async function raw(
  key: AccessKey,
  options: {
    readonly action?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly query?: string;
    readonly body?: string;
    readonly change?: (sent: { headers: Record<string, string>; query: string; body: string }) => void;
  } = {},
): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }> {
  const { action = 'DescribeVpcs', query = `RegionId=${world.region}`, body = '' } = options;
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const signed: Record<string, string> = {
    host: new URL(world.url).host,
    'x-acs-action': action,
    'x-acs-version': '2016-04-28',
    'x-acs-date': new Date().toISOString().replace(/\.\d+/, ''),
    'x-acs-signature-nonce': randomUUID(),
    'x-acs-content-sha256': hash(body),
    ...(key.securityToken === undefined ? {} : { 'x-acs-security-token': key.securityToken }),
    ...options.headers,
  };
  const names = Object.keys(signed).sort();
  const lines = names.map((name) => `${name}:${signed[name]}\n`).join('');
  const canonical = ['POST', '/', query, lines, names.join(';'), hash(body)].join('\n');
  const seal = createHmac('sha256', key.accessKeySecret)
    .update(`ACS3-HMAC-SHA256\n${hash(canonical)}`)
    .digest('hex');
  const authorization = `ACS3-HMAC-SHA256 Credential=${key.accessKeyId},SignedHeaders=${names.join(';')},Signature=${seal}`;
  const sent: { headers: Record<string, string>; query: string; body: string } = {
    ...{ headers: { ...signed, authorization }, query, body },
  };
  options.change?.(sent);
  const { host: _, ...headers } = sent.headers;
  const answer = await fetch(`${world.url}/?${sent.query}`, { method: 'POST', headers, body: sent.body });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

describe('signatures', () => {
  let key: AccessKey;
  beforeEach(() => {
    key = world.keys.issue('test/raw');
  });

  it('that are right pass, and name the caller', async () => {
    expect(await raw(key)).toMatchObject({ status: 200, body: { TotalCount: 1, RequestId: expect.any(String) } });
    expect(world.requests().at(-1)).toMatchObject({ operation: 'DescribeVpcs', caller: 'test/raw', outcome: 'ok' });
  });

  it.each<[string, Parameters<typeof raw>[1], number, string]>([
    ['none', { change: ({ headers }) => void delete headers['authorization'] }, 400, 'IncompleteSignature'],
    [
      'of the old kind',
      { change: ({ headers }) => void (headers['authorization'] = 'acs x:y') },
      400,
      'IncompleteSignature',
    ],
    [
      'without a header that is sent',
      { change: ({ headers }) => void (headers['x-acs-more'] = '1') },
      400,
      'IncompleteSignature',
    ],
    ['of another query', { change: (sent) => void (sent.query += '&VpcId=x') }, 400, 'SignatureDoesNotMatch'],
    ['of another body', { change: (sent) => void (sent.body = 'VpcId=x') }, 400, 'SignatureDoesNotMatch'],
    [
      'of another action',
      { change: ({ headers }) => void (headers['x-acs-action'] = 'DescribeVSwitches') },
      400,
      'SignatureDoesNotMatch',
    ],
    ['from 20 minutes ago', { headers: { 'x-acs-date': dateOf(-20) } }, 400, 'InvalidTimeStamp.Expired'],
    ['20 minutes ahead', { headers: { 'x-acs-date': dateOf(20) } }, 400, 'InvalidTimeStamp.Expired'],
    ['dated otherwise', { headers: { 'x-acs-date': new Date().toUTCString() } }, 400, 'InvalidTimeStamp.Expired'],
    ['of another API version', { headers: { 'x-acs-version': '2014-05-26' } }, 400, 'InvalidVersion'],
    ['of an unknown action', { action: 'DeleteVpc' }, 404, 'InvalidAction.NotFound'],
  ])('%s', async (_, options, status, code) => {
    const answer = await raw(key, options);
    const { RequestId, HostId, Message } = answer.body;
    expect([answer.status, answer.body['Code']]).toEqual([status, code]);
    expect([RequestId, HostId, Message]).toEqual([expect.any(String), expect.any(String), expect.any(String)]);
  });

  it('are used once', async () => {
    const headers = { 'x-acs-signature-nonce': 'twice' };
    expect((await raw(key, { headers })).status).toBe(200);
    expect((await raw(key, { headers })).body).toMatchObject({ Code: 'SignatureNonceUsed' });
  });

  it('are by a key that is known, its own secret, its own token, and in time', async () => {
    const session = world.keys.issueSession('node/i-1');
    const { securityToken, ...bare } = session;
    const code = async (one: AccessKey) => (await raw(one)).body['Code'];
    expect(await code(session)).toBeUndefined();
    expect(await code({ ...key, accessKeySecret: 'guessed' })).toBe('SignatureDoesNotMatch');
    expect(await code({ ...session, securityToken: 'another' })).toBe('InvalidSecurityToken.MismatchWithAccessKey');
    expect(await code(bare)).toBe('InvalidSecurityToken.MismatchWithAccessKey');
    expect(await code(world.keys.issueSession('node/i-1', -1))).toBe('InvalidSecurityToken.Expired');
    world.keys.revoke(key);
    expect(await raw(key)).toMatchObject({ status: 404, body: { Code: 'InvalidAccessKeyId.NotFound' } });
  });

  it('cover parameters, each of which is given once', async () => {
    const twice = `RegionId=${world.region}&RegionId=${world.region}`;
    expect((await raw(key, { query: twice })).body).toMatchObject({ Code: 'IllegalParam.RegionId' });
    const gap = `RegionId=${world.region}&RouteEntries.2.RouteTableId=x`;
    expect((await raw(key, { action: 'CreateRouteEntries', query: gap })).body).toMatchObject({
      Code: 'IllegalParam.2',
    });
    expect((await raw(key, { query: '' })).body).toMatchObject({ Code: 'MissingParameter' });
  });
});

describe('rights', () => {
  it('are those of the README, judged by action and resource, and told by name when they lack', async () => {
    const as = (caller: string) => sdkCall({ ...world, credentials: world.keys.issueSession(caller) });
    const [node, controller] = [as('node/i-1'), as('controller/a')];
    for (const role of ['node', 'controller'] as const) world.setRights(role, 'readme');
    const { id: NextHopId } = tenant.node;
    const wanted = { RouteTableId: tenant.tableId, DestinationCidrBlock: '10.244.1.0/24', NextHopId };
    const gateway = [...world.account.tables.values()].find(({ associateType }) => associateType === 'Gateway');

    expect(await codeOf(node('CreateRouteEntry', wanted))).toBe('ok');
    const batch = { RouteEntries: [tenant.batchEntry('10.244.2.0/24')] };
    expect(await codeOf(controller('CreateRouteEntries', batch))).toBe('ok');
    await expect(node('CreateRouteEntries', batch)).rejects.toMatchObject({
      ...{ code: 'Forbidden.RAM', statusCode: 403 },
      accessDeniedDetail: { AuthAction: 'vpc:CreateRouteEntries', AuthPrincipalDisplayName: 'node:i-1' },
    });
    expect(await codeOf(node('CreateRouteEntry', { ...wanted, RouteTableId: gateway?.id }))).toBe('Forbidden.RAM');
    const [entry] = await tenant.entries({ DestinationCidrBlock: '10.244.1.0/24' });
    world.setRights('node', { readmeWithout: 'vpc:DeleteRouteEntry' });
    expect(await codeOf(node('DeleteRouteEntry', { RouteEntryId: entry?.RouteEntryId }))).toBe('Forbidden.RAM');
    world.setRights('node', 'all');
    expect(await codeOf(node('DeleteRouteEntry', { RouteEntryId: entry?.RouteEntryId }))).toBe('ok');
  });
});

function dateOf(minutes: number): string {
  return new Date(Date.now() + minutes * 60_000).toISOString().replace(/\.\d+/, '');
}
