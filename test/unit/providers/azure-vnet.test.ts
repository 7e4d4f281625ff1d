/** The pure parts of azure-vnet: ids, names, edits of tables, meanings of errors, addresses, rights and rules. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { azureVnetSchema } from '../../../providers/azure-vnet/config.ts';
import { judgeIngress, type Rule } from '../../../providers/azure-vnet/diagnose-firewall.ts';
import { isAllowed } from '../../../providers/azure-vnet/diagnose-rights.ts';
import { edited, editFor } from '../../../providers/azure-vnet/edit.ts';
import { cloudOfEnvironment, cloudOfMachine } from '../../../providers/azure-vnet/environment.ts';
import { ifMatch, refusalError } from '../../../providers/azure-vnet/errors.ts';
import { armPath, kinds, shortId } from '../../../providers/azure-vnet/ids.ts';
import { parseRaw } from '../../../providers/azure-vnet/raw-json.ts';
import { foreignController, RouteNames } from '../../../providers/azure-vnet/routes.ts';
import { cidr } from '../../support/addresses.ts';

const names = new RouteNames([cidr('10.244.0.0/16')]);

describe('ids', () => {
  it('are short and lower case, and lead back to the same resource', () => {
    const arm = '/subscriptions/0B1F/resourcegroups/My-RG/providers/microsoft.network/ROUTETABLES/Table_1';
    expect(shortId(arm, kinds.table)).toBe('0b1f/my-rg/table_1');
    expect(armPath('0b1f/my-rg/table_1', kinds.table)).toBe(
      '/subscriptions/0b1f/resourceGroups/my-rg/providers/Microsoft.Network/routeTables/table_1',
    );
    expect(shortId(arm, kinds.nic)).toBeUndefined();
    expect(shortId('/subscriptions/x', kinds.table)).toBeUndefined();
  });

  it('never lead out of the path of their kind', () => {
    expect(armPath('a/b/../c', kinds.subnet)).toBeUndefined();
    expect(armPath('a/b/c', kinds.subnet)).toBeUndefined();
    expect(armPath('a/b/c?x=/d', kinds.table)).toBeUndefined();
    expect(armPath('a/b/c?x', kinds.table)).toMatch(/routeTables\/c%3Fx$/);
  });
});

describe('net-conf', () => {
  it.each([
    [{}, []],
    [{ RouteTable: 'Table' }, ['table']],
    [{ RouteTableID: ['G/T', 's/g/t', 'g/t'] }, ['g/t', 's/g/t']],
    [{ RouteTable: '/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/routeTables/T' }, ['s/g/t']],
    [{ RouteTable: '' }, []],
  ])('takes %j', (members, ids) => {
    expect(azureVnetSchema.parse(members)).toEqual({ routeTableIds: ids, foreignController: false });
  });

  it.each([
    { RouteTable: 'a/b/c/d' },
    { RouteTable: 'a b' },
    { RouteTable: 7 },
    { RouteTable: 'a', RouteTableID: 'b' },
    { ForeignController: 'yes' },
  ])('refuses %j', (members) => {
    expect(azureVnetSchema.safeParse(members).success).toBe(false);
  });
});

describe('names of routes', () => {
  it('are unlike for unlike destinations and pod networks, and Azure takes them', () => {
    const others = new RouteNames([cidr('10.245.0.0/16')]);
    const six = names.nameFor(cidr('fd00:10:244:ffff:ffff:ffff:ffff:fff0/124'));
    expect(names.nameFor(cidr('10.244.1.0/24'))).not.toBe(others.nameFor(cidr('10.244.1.0/24')));
    expect(names.nameFor(cidr('10.244.1.0/24'))).not.toBe(names.nameFor(cidr('10.244.1.0/25')));
    expect(six).toMatch(/^[a-z0-9][a-z0-9-]{0,78}[a-z0-9]$/);
    expect(names.isOurs(six.toUpperCase())).toBe(true);
    expect(others.isOurs(six)).toBe(false);
  });
});

describe('raw JSON', () => {
  it('is written as it was read, whatever is in it', () => {
    const text = '{"a":1.0,"b":9007199254740993,"c":1e-7,"d":[-0,1E400,null],"e":{"__proto__":{"x":1}},"f":"ä\\u2028"}';
    expect(JSON.stringify(parseRaw(text))).toBe(text.replace('\\u2028', '\u2028'));
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(JSON.parse(JSON.stringify(parseRaw(json)))).toEqual(JSON.parse(json));
      }),
    );
  });
});

describe('an edit of a table', () => {
  const route = (name: string, prefix: string, address: string) => ({
    name,
    etag: 'W/"1"',
    properties: {
      addressPrefix: prefix,
      nextHopType: 'VirtualAppliance',
      nextHopIpAddress: address,
      extra: { a: [1] },
    },
  });
  const routes = [route('x', '0.0.0.0/0', '10.0.0.1'), route('mine', '10.244.1.0/24', '10.0.1.10')];
  const nextHop = {
    ...{ nicId: 'n', instanceId: 'i', subnetId: 's', networkId: 'v', forwards: true },
    target: { 4: { kind: 'address', id: '10.0.1.11' } },
  } as const;
  const base = { tableId: 't', destination: cidr('10.244.1.0/24') } as const;
  const options = { names, made: false };

  it('changes where a route leads, and no other member of it or of the others', () => {
    const expected = { kind: 'address', id: '10.0.1.10' } as const;
    const edit = editFor(routes, { ...base, action: 'replace', nextHop, expected }, options);

    expect(edit).toMatchObject({ kind: 'put', name: 'mine', at: 1, etag: 'W/"1"' });
    const after = edited(routes, edit);
    expect(after[0]).toBe(routes[0]);
    expect(JSON.stringify(after[1])).toBe(JSON.stringify(routes[1]).replace('10.0.1.10', '10.0.1.11'));
  });

  it('is none for what is gone, or was made by an operation that ended', () => {
    const gone = { ...base, destination: cidr('10.244.9.0/24') };
    const expected = { kind: 'address', id: '10.0.1.10' } as const;
    expect(editFor(routes, { ...gone, action: 'delete', expected }, options)).toEqual({ kind: 'none' });
    const same = { ...nextHop, target: { 4: expected } };
    expect(editFor(routes, { ...base, action: 'create', nextHop: same }, { names, made: true })).toEqual({
      kind: 'none',
    });
    expect(() => editFor(routes, { ...base, action: 'create', nextHop: same }, options)).toThrow(/exists already/);
  });

  it('is refused for a next hop without an address of the family', () => {
    const six = { ...base, destination: cidr('fd00::/64'), action: 'create', nextHop } as const;
    expect(() => editFor(routes, six, options)).toThrow(/no IPv6 address/);
  });
});

describe('a refusal', () => {
  const context = { action: 'Microsoft.Network/routeTables/routes/write', doing: 'do it' };
  const of = (status: number | undefined, code: string, inner?: string, message = 'text', retryAfter?: string) =>
    refusalError(
      {
        status,
        headers: { 'retry-after': retryAfter },
        body: { error: { code, message, details: inner === undefined ? [] : [{ code: inner, message }] } },
      },
      context,
    );

  it.each([
    [429, 'RetryableError', 'RetryableErrorDueToAnotherOperation', 'TRANSIENT'],
    [429, 'RetryableError', 'ReferencedResourceNotProvisioned', 'TRANSIENT'],
    [409, 'AnotherOperationInProgress', undefined, 'TRANSIENT'],
    [429, 'TooManyRequests', undefined, 'THROTTLED'],
    [429, 'SubscriptionRequestsThrottled', undefined, 'THROTTLED'],
    [429, 'SomethingNew', undefined, 'THROTTLED'],
    [412, 'PreconditionFailed', 'PreconditionFailedEtagMismatch', 'TRANSIENT'],
    [400, 'RouteConflict', undefined, 'CONFLICT'],
    [400, 'RouteCountLimitReached', undefined, 'QUOTA_EXCEEDED'],
    [400, 'InvalidRequestFormat', 'InvalidJson', 'INVALID'],
    [409, 'ScopeLocked', undefined, 'PERMISSION_DENIED'],
    [403, 'RequestDisallowedByPolicy', undefined, 'PERMISSION_DENIED'],
    [401, 'ExpiredAuthenticationToken', undefined, 'PERMISSION_DENIED'],
    [404, 'ResourceGroupNotFound', undefined, 'NOT_FOUND'],
    [503, 'ServerBusy', undefined, 'TRANSIENT'],
    [undefined, 'InternalServerError', undefined, 'TRANSIENT'],
    [undefined, 'Canceled', undefined, 'TRANSIENT'],
  ])('%s %s (%s) is %s', (status, code, inner, ours) => {
    expect(of(status, code, inner).code).toBe(ours);
  });

  it('says when to come back: by the header, by the text, or in a few seconds when something is busy', () => {
    expect(of(429, 'TooManyRequests', undefined, 'text', '17').retryAfterMs).toBe(17_000);
    const inner = 'RetryableErrorDueToAnotherOperation';
    expect(of(429, 'RetryableError', inner, 'The call can be retried in 11 seconds.').retryAfterMs).toBe(11_000);
    expect(of(409, 'AnotherOperationInProgress').retryAfterMs).toBe(4_000);
    expect(of(500, 'InternalServerError').retryAfterMs).toBeUndefined();
  });

  it('names who may not do what, and where', () => {
    const message =
      "The client 'x' with object id 'oid-1' does not have authorization to perform action 'Microsoft.Network/routeTables/write' over scope '/subscriptions/s/t' or the scope is invalid.";
    const error = of(403, 'AuthorizationFailed', undefined, message);
    expect(error.details).toMatchObject({ action: 'Microsoft.Network/routeTables/write', principal: 'oid-1' });
    expect(error.hint).toContain('/subscriptions/s/t');
    const linked =
      "The client 'x' with object id 'o' has permission to perform action 'a/write' on scope '/n'; however, it does not have permission to perform action(s) 'b/join/action' on the linked scope(s) '/sub' (respectively)";
    expect(of(403, 'LinkedAuthorizationFailed', undefined, linked).details).toMatchObject({ action: 'b/join/action' });
  });
});

describe('the condition of a write', () => {
  const context = { action: 'Microsoft.Network/routeTables/write', doing: 'change 2 routes of s/g/t' };

  it('is the etag that was read, and without one nothing is written', () => {
    expect(ifMatch('W/"1"', context)).toEqual({ 'if-match': 'W/"1"' });
    expect(() => ifMatch(undefined, context)).toThrow(
      expect.objectContaining({ code: 'TRANSIENT', message: expect.stringContaining('no etag') }),
    );
  });
});

describe('where Azure is', () => {
  it('is told by the environment, by the authority, or by the machine', () => {
    expect(cloudOfEnvironment({})).toBeUndefined();
    expect(cloudOfEnvironment({ AZURE_ENVIRONMENT: 'AzureChinaCloud' })?.endpoint).toBe(
      'https://management.chinacloudapi.cn',
    );
    expect(cloudOfEnvironment({ AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us/' })?.scope).toBe(
      'https://management.usgovcloudapi.net/.default',
    );
    expect(cloudOfMachine('AzureUSGovernmentCloud').endpoint).toBe('https://management.usgovcloudapi.net');
    expect(cloudOfMachine('somewhere').endpoint).toBe('https://management.azure.com');
    expect(() => cloudOfEnvironment({ AZURE_ENVIRONMENT: 'Moon' })).toThrow(/AZURE_ENVIRONMENT/);
  });

  it.each(['http://127.0.0.1:1', 'http://[::1]:1', 'http://10.1.2.3', 'http://169.254.169.254', 'http://localhost:5'])(
    'may be %s without TLS',
    (url) => {
      expect(cloudOfEnvironment({ FLANNEL_VPC_AZURE_ENDPOINT: url })?.endpoint).toBe(new URL(url).origin);
    },
  );

  it.each(['http://management.azure.com', 'http://8.8.8.8', 'ftp://10.0.0.1', 'nonsense', 'http://u:p@10.0.0.1'])(
    'may not be %s',
    (url) => {
      expect(() => cloudOfEnvironment({ FLANNEL_VPC_AZURE_ENDPOINT: url })).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      );
    },
  );
});

describe('rights and rules', () => {
  it('know wildcards, exceptions, and no case', () => {
    const permissions = [{ actions: ['Microsoft.Network/*/read', '*/write'], notActions: ['*/routeTables/write'] }];
    expect(isAllowed('microsoft.network/routeTables/read', permissions)).toBe(true);
    expect(isAllowed('Microsoft.Network/routeTables/write', permissions)).toBe(false);
    expect(isAllowed('Microsoft.Network/routeTables/delete', permissions)).toBe(false);
  });

  const rule = (name: string, priority: number, access: string, source: string, port = '*'): Rule => ({
    name,
    properties: {
      ...{ access, priority, direction: 'Inbound', protocol: '*', sourceAddressPrefix: source },
      ...{ sourcePortRange: '*', destinationAddressPrefix: '*', destinationPortRange: port },
    },
  });
  const deny = rule('DenyAllInBound', 65_500, 'Deny', '*');

  it.each([
    ['ok', [rule('vnet', 65_000, 'Allow', 'VirtualNetwork'), deny]],
    ['ok', [rule('pods', 100, 'Allow', '10.0.0.0/8'), deny]],
    ['failed', [deny]],
    ['failed', [rule('first', 10, 'Deny', '10.244.0.0/15'), rule('vnet', 65_000, 'Allow', 'VirtualNetwork'), deny]],
    ['warning', [rule('web', 10, 'Allow', '*', '443'), deny]],
    ['warning', [rule('ssh', 10, 'Deny', '*', '22'), rule('vnet', 65_000, 'Allow', 'VirtualNetwork'), deny]],
    ['ok', [rule('elsewhere', 10, 'Deny', '192.168.0.0/16'), rule('all', 20, 'Allow', '*'), deny]],
  ])('judge what pods send: %s', (status, rules) => {
    expect(judgeIngress(cidr('10.244.0.0/16'), 's/g/nsg', rules)).toMatchObject({ status });
  });

  it('tell a table that the cloud provider writes', () => {
    const table = (name: string, route: string, tags: Record<string, string> = {}) => ({
      name,
      tags,
      properties: {
        routes: [{ name: route, properties: { addressPrefix: '10.1.0.0/24', nextHopType: 'VirtualAppliance' } }],
      },
    });
    expect(foreignController(table('t', 'node-1____10100024'))).toContain('node-1____');
    expect(foreignController(table('aks-agentpool-12345678-routetable', 'x'))).toBeDefined();
    expect(foreignController(table('t', 'x', { 'k8s-azure-cluster-name': 'kubernetes' }))).toBeDefined();
    expect(foreignController(table('t', names.nameFor(cidr('10.244.0.0/24')), { owner: 'me' }))).toBeUndefined();
  });
});
