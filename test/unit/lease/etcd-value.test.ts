import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeLeaseValue, encodeLeaseValue, isUnreadable } from '../../../lease/etcd/value.ts';
import type { LeaseAttributes } from '../../../lease/lease.ts';
import { attributes } from '../../integration/lease/fixtures.ts';

function decoded(text: string): LeaseAttributes {
  const result = decodeLeaseValue(text);
  if (isUnreadable(result)) throw new Error(result.problem);
  return result;
}

describe('encodeLeaseValue', () => {
  // Values as real flannel 0.28 stores them.
  it.each<[string, LeaseAttributes, string]>([
    ['alloc', attributes('192.168.77.11'), '{"PublicIP":"192.168.77.11","PublicIPv6":null}'],
    [
      'host-gw',
      { ...attributes('192.168.77.11'), backendType: 'host-gw' },
      '{"PublicIP":"192.168.77.11","PublicIPv6":null,"BackendType":"host-gw"}',
    ],
    [
      'vxlan',
      {
        ...attributes('192.168.77.11'),
        backendType: 'vxlan',
        backendData: { 4: { VNI: 1, VtepMAC: '0e:00:00:00:00:01' } },
      },
      '{"PublicIP":"192.168.77.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"0e:00:00:00:00:01"}}',
    ],
    [
      'dual-stack vxlan',
      {
        ...attributes(['192.168.77.11', 'fd77::11']),
        backendType: 'vxlan',
        backendData: { 4: { VNI: 1, VtepMAC: '0e:00:00:00:00:01' }, 6: { VNI: 1, VtepMAC: '0e:00:00:00:00:02' } },
      },
      '{"PublicIP":"192.168.77.11","PublicIPv6":"fd77::11","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"0e:00:00:00:00:01"},"BackendV6Data":{"VNI":1,"VtepMAC":"0e:00:00:00:00:02"}}',
    ],
    ['IPv6 only', attributes('fd77::11'), '{"PublicIP":"0.0.0.0","PublicIPv6":"fd77::11"}'],
    [
      'ours, after flannel’s members',
      attributes('192.168.77.11', { instanceId: 'i-1', nicId: 'eni-1', addresses: ['192.168.77.11'] }),
      '{"PublicIP":"192.168.77.11","PublicIPv6":null,"FlannelVPC":{"instanceId":"i-1","nicId":"eni-1","addresses":["192.168.77.11"]}}',
    ],
  ])('writes %s byte for byte', (_, value, text) => {
    expect(encodeLeaseValue(value)).toBe(text);
    expect(decoded(text)).toEqual(value);
  });

  it('escapes what Go escapes', () => {
    const value = { ...attributes('192.0.2.1'), unknownFields: { Note: 'a<b>&\u2028é' } };
    expect(encodeLeaseValue(value)).toContain('"Note":"a\\u003cb\\u003e\\u0026\\u2028é"');
    expect(decoded(encodeLeaseValue(value))).toEqual(value);
  });
});

describe('decodeLeaseValue', () => {
  it('reads names in any case, as Go does, and the last of two counts', () => {
    expect(decoded('{"publicip":"192.0.2.1","PUBLICIPV6":null,"backendTYPE":"alloc"}')).toEqual({
      ...attributes('192.0.2.1'),
      backendType: 'alloc',
    });
    expect(decoded('{"PublicIP":"192.0.2.1","publicip":"192.0.2.2"}')).toEqual(attributes('192.0.2.2'));
  });

  it('takes 0.0.0.0, an empty text, null and nothing for no address', () => {
    for (const text of ['{"PublicIP":"0.0.0.0"}', '{"PublicIP":""}', '{"PublicIP":null,"PublicIPv6":null}', '{}']) {
      expect(decoded(text)).toEqual(attributes([]));
    }
  });

  it('keeps members that nobody knows, through any number of rewrites', () => {
    const text = '{"PublicIP":"192.0.2.1","PublicIPv6":null,"Rack":{"row":7,"list":[1,null]},"X":false}';
    expect(encodeLeaseValue(decoded(text))).toBe(text);
  });

  it.each([
    ['', 'not JSON'],
    ['{"PublicIP":"192.0.2.1"', 'not JSON'],
    ['[]', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['"text"', 'not a JSON object'],
    ['{"PublicIP":7}', 'PublicIP'],
    ['{"PublicIP":"300.1.1.1"}', 'PublicIP'],
    ['{"PublicIP":"fd00::1"}', 'PublicIP'],
    ['{"PublicIPv6":"192.0.2.1"}', 'PublicIPv6'],
    ['{"BackendType":{}}', 'BackendType'],
    ['{"FlannelVPC":"x"}', 'FlannelVPC'],
    ['{"FlannelVPC":{"instanceId":7}}', 'FlannelVPC.instanceId'],
    [`{"FlannelVPC":{"instanceId":"${'x'.repeat(1_000)}"}}`, 'FlannelVPC.instanceId'],
  ])('refuses %j and says where', (text, problem) => {
    const result = decodeLeaseValue(text);
    if (!isUnreadable(result)) throw new Error('was read');
    expect(result.problem).toContain(problem);
    expect(result.problem.length).toBeLessThan(200);
  });

  it('lets no member reach a prototype', () => {
    const result = decoded('{"PublicIP":"192.0.2.1","__proto__":{"polluted":true},"constructor":1}');
    expect(Object.getPrototypeOf(result.unknownFields)).toBe(Object.prototype);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('reads or refuses any JSON, and what it reads survives writing and reading', () => {
    const member = fc.oneof(
      fc.json().map((text) => JSON.parse(text) as unknown),
      fc.constantFrom('192.0.2.1', 'fd00::1', '', null),
    );
    const names = fc.oneof(
      fc.constantFrom('PublicIP', 'PublicIPv6', 'BackendType', 'BackendData', 'FlannelVPC', 'backenddata'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.dictionary(names, member), (json) => {
        const result = decodeLeaseValue(JSON.stringify(json));
        if (isUnreadable(result)) return;
        expect(decodeLeaseValue(encodeLeaseValue(result))).toEqual(result);
      }),
    );
  });
});
