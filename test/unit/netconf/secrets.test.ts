import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Secret } from '../../../src/core/secret.ts';
import { problem } from '../../../src/netconf/problems.ts';
import { haveSameSecrets, withoutSecretValues } from '../../../src/netconf/secrets.ts';

const secret = 'sEcReT0123456789"\\sEcReT';

describe('a net-conf’s text without its secrets', () => {
  test('is otherwise as it stands', () => {
    const text = `{ "Network" : "10.5.0.0/16",\n  "Backend": {"List": ["a", "b"], "AccessKeyID":"LTAI5t", "accesskeysecret" : ${JSON.stringify(secret)} } }`;
    expect(withoutSecretValues(text)).toBe(
      '{ "Network" : "10.5.0.0/16",\n  "Backend": {"List": ["a", "b"], "AccessKeyID":"[secret]", "accesskeysecret" : "[secret]" } }',
    );
    const none = '{"Backend": {"Type": "ali-vpc", "AccessKeyID": "", "AccessKeySecret": null}}';
    expect(withoutSecretValues(none)).toBe(none);
  });

  test('hides them also in text that is no JSON, in numbers, and under a name in other letters', () => {
    expect(withoutSecretValues('{"AccessKeySecret": "abcd1234", oops')).not.toContain('abcd1234');
    expect(withoutSecretValues('{"AccessKeySecret": 12345678}')).not.toContain('12345678');
    expect(withoutSecretValues('{"Access\\u004beySecret": "abcd1234"}')).not.toContain('abcd1234');
  });

  test('never holds one, and says the same but for them', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string({ minLength: 1 }), (others, value) => {
        const hidden = `«${value}»`;
        const text = JSON.stringify({ Backend: { ...others, AccessKeySecret: hidden, After: 'x' } });
        const shown = withoutSecretValues(text);
        expect(shown).not.toContain(JSON.stringify(hidden).slice(1, -1));
        expect(JSON.parse(shown)).toHaveProperty(['Backend', 'After'], 'x');
      }),
    );
  });
});

describe('a problem', () => {
  test('does not show a secret member’s value, nor one inside what it shows', () => {
    const direct = problem('Backend.AccessKeySecret', secret, 'is not usable', 'a key');
    const inside = problem('Backend', [{ AccessKeySecret: 'abcd1234', Type: 'ali-vpc' }], 'is no object', 'an object');
    expect(direct.message).toContain('found "[secret]"');
    expect(JSON.stringify([direct, inside])).not.toMatch(/sEcReT0|abcd1234/);
    expect(inside.message).toContain('ali-vpc');
  });
});

test('secrets are compared by what they hold', () => {
  const config = (text: string) => ({
    routeTableIds: [],
    accessKey: { id: new Secret('a'), secret: new Secret(text) },
  });
  expect(haveSameSecrets(config('x'), config('x'))).toBe(true);
  expect(haveSameSecrets(config('x'), config('y'))).toBe(false);
  expect(haveSameSecrets(config('x'), { routeTableIds: [] })).toBe(false);
  expect(haveSameSecrets({}, undefined)).toBe(true);
});
