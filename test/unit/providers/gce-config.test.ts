import { describe, expect, it } from '@jest/globals';
import { gceSchema } from '../../../providers/gce/config.ts';
import { endpointOf } from '../../../providers/gce/endpoint.ts';

describe('net-conf’s members of gce', () => {
  it('may all be absent, as with flannel', () => {
    expect(gceSchema.parse({})).toEqual({ network: undefined, routeLimit: undefined });
    expect(gceSchema.parse({ VPCNetwork: '', RouteLimit: null })).toEqual({
      network: undefined,
      routeLimit: undefined,
    });
  });

  it.each(['prj-1/default', 'example.com:prj-1/default', 'my-host-project/net-1'])('take the network %s', (network) => {
    expect(gceSchema.parse({ VPCNetwork: network, RouteLimit: 300 })).toEqual({ network, routeLimit: 300 });
  });

  it.each(['default', 'projects/prj-1/global/networks/default', 'prj-1/Default', 'prj-1/', 7])(
    'refuse the network %j and say what one looks like',
    (network) => {
      expect(gceSchema.safeParse({ VPCNetwork: network }).error?.issues[0]?.message).toContain('PROJECT/NETWORK');
    },
  );

  it.each([0, -1, 1.5, '200', 1_000_000])('refuse the limit %j', (RouteLimit) => {
    expect(gceSchema.safeParse({ RouteLimit }).error?.issues[0]?.message).toContain('whole number');
  });
});

describe('FLANNEL_VPC_GCE_ENDPOINT', () => {
  const of = (url: string) => endpointOf({ FLANNEL_VPC_GCE_ENDPOINT: url });

  it('is Google’s own when absent', () => {
    expect(endpointOf({})).toBeUndefined();
    expect(of('')).toBeUndefined();
  });

  it.each([
    ['http://127.0.0.1:8080', { apiEndpoint: '127.0.0.1', port: 8080, protocol: 'http' }],
    ['http://10.0.0.7', { apiEndpoint: '10.0.0.7', port: 80, protocol: 'http' }],
    ['http://169.254.10.1:9', { apiEndpoint: '169.254.10.1', port: 9, protocol: 'http' }],
    ['http://localhost:1/', { apiEndpoint: 'localhost', port: 1, protocol: 'http' }],
    ['http://[::1]:1', { apiEndpoint: '[::1]', port: 1, protocol: 'http' }],
    ['https://compute.p.example.com', { apiEndpoint: 'compute.p.example.com', port: 443, protocol: 'https' }],
  ])('takes %s', (url, expected) => {
    expect(of(url)).toEqual(expected);
  });

  it.each(['http://compute.googleapis.com', 'http://8.8.8.8', 'http://[2001:db8::1]:80'])(
    'sends no token in clear to %s',
    (url) => {
      expect(() => of(url)).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID', hint: expect.stringContaining('https') }),
      );
    },
  );

  it.each(['ftp://x', 'nonsense', 'https://x/compute/v1', 'https://user:secret@x'])('refuses %s', (url) => {
    expect(() => of(url)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => of(url)).not.toThrow(/secret/);
  });
});
