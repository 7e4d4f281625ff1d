/** What net-conf says about members and networks that belong to one cloud and not to another. */
import { describe, expect, it } from '@jest/globals';
import { parseNetConf } from '../../../src/netconf/net-conf.ts';

const netConf = (backend: object, network = '10.244.0.0/16'): string =>
  JSON.stringify({ Network: network, Backend: backend });

describe('a member of another backend', () => {
  it.each([
    [{ Type: 'gce', RouteTableID: 'rtb-1' }, 'RouteTableID', '"aws-vpc", "ali-vpc", "azure-vnet"'],
    [{ Type: 'aws-vpc', vpcnetwork: 'my-project/net' }, 'vpcnetwork', '"gce"'],
    [{ Type: 'aws-vpc', RouteTable: 'nodes' }, 'RouteTable', '"azure-vnet"'],
    [{ Type: 'host-gw', RegionID: 'cn-hangzhou' }, 'RegionID', '"ali-vpc"'],
  ])('is ignored, and said to be theirs: %j', (backend, member, owners) => {
    expect(parseNetConf(netConf(backend))).toMatchObject({
      ok: true,
      warnings: [`Backend.${member} is not known and was ignored; it is for ${owners}`],
    });
  });

  it('is none outside of Backend, nor where nobody has it', () => {
    const text = JSON.stringify({ Network: '10.244.0.0/16', RegionID: 'x', Backend: { Type: 'gce', Foo: 1 } });
    expect(parseNetConf(text).warnings).toEqual([
      'RegionID is not known and was ignored',
      'Backend.Foo is not known and was ignored',
    ]);
  });

  it('never has its value shown', () => {
    const said = parseNetConf(netConf({ Type: 'aws-vpc', AccessKeySecret: 'verysecret' }));
    expect(said.warnings).toEqual(['Backend.AccessKeySecret is not known and was ignored; it is for "ali-vpc"']);
  });
});

describe('a network that a cloud keeps for itself', () => {
  const inside = 'overlaps 100.64.0.0/10, which the cloud keeps';

  it.each(['100.64.0.0/16', '100.127.0.0/16', '100.0.0.0/8'])('is refused there: %s', (network) => {
    const result = parseNetConf(netConf({ Type: 'ali-vpc' }, network));
    expect(result).toMatchObject({ ok: false, problems: [{ field: 'Network', text: inside }] });
  });

  it('is taken beside it, on other clouds, and when another backend takes the place of the stored one', () => {
    expect(parseNetConf(netConf({ Type: 'ali-vpc' }, '100.128.0.0/16')).ok).toBe(true);
    expect(parseNetConf(netConf({ Type: 'aws-vpc' }, '100.64.0.0/16')).ok).toBe(true);
    const moving = netConf({ Type: 'aws-vpc' }, '100.64.0.0/16');
    expect(parseNetConf(moving, { backendType: 'ali-vpc' }).ok).toBe(false);
  });
});
