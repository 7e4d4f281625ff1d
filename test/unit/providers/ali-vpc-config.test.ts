import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { type AliVpcConfig, aliVpcSchema } from '../../../providers/ali-vpc/config.ts';

const secret = 'sEcReT0123456789sEcReT0123456789';

function parse(members: Readonly<Record<string, unknown>>): AliVpcConfig {
  return aliVpcSchema.parse(members);
}

function refusal(members: Readonly<Record<string, unknown>>): string {
  const result = aliVpcSchema.safeParse(members);
  if (result.success) throw new Error('taken, although it should be refused');
  return result.error.issues.map(({ path, message }) => `${path[0]?.toString()}: ${message}`).join('; ');
}

describe('options of ali-vpc', () => {
  test('may all be absent, empty or null, as flannel has it', () => {
    const none = { routeTableIds: [] };
    expect(parse({})).toEqual(none);
    expect(parse({ RouteTableID: '', RegionID: '', AccessKeyID: '', AccessKeySecret: '' })).toEqual(none);
    expect(parse({ RouteTableID: null, RegionID: null, EndpointType: null, AccessKeyID: null })).toEqual(none);
  });

  test('name one table or several, a region, and which endpoints', () => {
    expect(parse({ RouteTableID: 'vtb-bp1a2b3c', RegionID: 'cn-hangzhou', EndpointType: 'vpc' })).toEqual({
      routeTableIds: ['vtb-bp1a2b3c'],
      regionId: 'cn-hangzhou',
      endpointType: 'vpc',
    });
    expect(parse({ RouteTableID: ['vtb-bp1a2b3c', 'vtb-bp1a2b3d', 'vtb-bp1a2b3c'] }).routeTableIds).toEqual([
      'vtb-bp1a2b3c',
      'vtb-bp1a2b3d',
    ]);
    expect(parse({ RegionID: 'cn-shanghai-finance-1' }).regionId).toBe('cn-shanghai-finance-1');
  });

  test('take flannel’s static key and keep both halves out of every text', () => {
    const { accessKey } = parse({ AccessKeyID: 'LTAI5tExample', AccessKeySecret: secret });
    expect(accessKey?.id.reveal()).toBe('LTAI5tExample');
    expect(accessKey?.secret.reveal()).toBe(secret);
    const texts = [JSON.stringify(accessKey), inspect(accessKey), `${accessKey?.id} ${accessKey?.secret}`].join();
    expect(texts).not.toContain(secret);
    expect(texts).not.toContain('LTAI5tExample');
  });

  test('take no half key, and not what is shown in place of one', () => {
    expect(refusal({ AccessKeyID: 'LTAI5tExample' })).toMatch(/AccessKeySecret: both .* or neither/);
    expect(refusal({ AccessKeySecret: secret })).toMatch(/both .* or neither/);
    expect(refusal({ AccessKeyID: 'LTAI5tExample', AccessKeySecret: '[secret]' })).toMatch(/netconf get/);
    const refused = refusal({ AccessKeyID: `${secret} `, AccessKeySecret: 5 });
    expect(refused).toMatch(/AccessKeyID: the key as RAM shows it/);
    expect(refused).not.toContain(secret);
  });

  test.each([
    { RouteTableID: 'rtb-0a1b2c3d4e5f60718' },
    { RouteTableID: ['vtb-bp1a2b3c', 'vtb-BP'] },
    { RouteTableID: 7 },
    { RegionID: 'cn-hangzhou.evil.example/' },
    { RegionID: 'hangzhou' },
    { EndpointType: 'internal' },
  ])('refuse %j', (members) => {
    expect(refusal(members)).toMatch(/such as|or "vpc"/);
  });
});
