/** What hostile input did before it was looked for, each by the shortest input that did it. */
import { describe, expect, it } from '@jest/globals';
import { iptablesForwardFate } from '../../../host/iptables-fate.ts';
import { commentOf, parseSave, targetOf } from '../../../host/iptables-text.ts';
import { readVxlanCounters } from '../../../host/link-counters.ts';
import { parseSubnetFile } from '../../../host/subnet-file.ts';
import { createEntryReader } from '../../../lease/etcd/entries.ts';
import { createEtcdKeys, parseSubnetKey } from '../../../lease/etcd/keys.ts';
import { decodeLeaseValue } from '../../../lease/etcd/value.ts';
import { failureOf } from '../../../lease/kubernetes/failures.ts';
import { instanceIdOfProviderId } from '../../../lease/kubernetes/provider-id.ts';
import { parseYaml } from '../../../lease/kubernetes/yaml-text.ts';
import { meaningOf as aliMeaning } from '../../../providers/ali-vpc/error-codes.ts';
import { meaningOf as awsMeaning } from '../../../providers/aws-vpc/error-codes.ts';
import { meaningOf as gceMeaning } from '../../../providers/gce/error-codes.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { deepestJson, parseJson } from '../../../src/core/json.ts';
import { checkNetConf } from '../../../src/netconf/check.ts';
import { parseNetConf } from '../../../src/netconf/net-conf.ts';
import { withoutSecretValues } from '../../../src/netconf/secrets.ts';
import { cidr } from '../../support/addresses.ts';
import { pair } from './edges-of-etcd.ts';

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

/** Milliseconds that it takes. */
function timeOf(effect: () => unknown): number {
  const started = performance.now();
  effect();
  return performance.now() - started;
}

describe('JSON that is nested deeply', () => {
  it('is refused where it is read, and not where it is written or compared', () => {
    expect(parseJson(nested(deepestJson))).toBeDefined();
    expect(() => parseJson(nested(deepestJson + 1))).toThrow(SyntaxError);
    // Brackets of texts are none.
    expect(parseJson(JSON.stringify({ a: '['.repeat(5_000), b: '"\\[' }))).toBeDefined();
  });

  it('is no lease, and no net-conf', () => {
    expect(decodeLeaseValue(`{"PublicIP":"10.0.0.1","Later":${nested(5_000)}}`)).toEqual({ problem: 'not JSON' });
    expect(parseNetConf(`{"Network":${nested(5_000)}}`)).toMatchObject({ ok: false });
  });

  it('is no kubeconfig either', () => {
    expect(() => parseYaml(`a: ${'['.repeat(100_000)}`)).toThrow(/nested more than 200 levels deep/);
  });
});

describe('a name that every object has', () => {
  it('is no cloud’s scheme, no code of an error and no backend', () => {
    expect(instanceIdOfProviderId('constructor://i-07')).toBeUndefined();
    expect(awsMeaning('constructor', 400)).toEqual({ code: 'INVALID' });
    expect(aliMeaning('constructor', 400, '')).toEqual({ code: 'INVALID' });
    expect(gceMeaning(['constructor'], 400, '')).toEqual({ code: 'INVALID' });
    const refused = parseNetConf('{"Network":"10.5.0.0/16","Backend":{"Type":"constructor"}}');
    expect(JSON.stringify(refused)).not.toContain('native code');
  });
});

describe('text that takes the square of its length', () => {
  it('in a key, in net-conf and in a rule is looked at in its length', () => {
    const digits = `/coreos.com/network/subnets/${'1'.repeat(300_000)}`;
    expect(timeOf(() => parseSubnetKey(digits))).toBeLessThan(500);
    expect(timeOf(() => withoutSecretValues('\\"'.repeat(300_000)))).toBeLessThan(1_000);
    const rule = `*filter\n-A FORWARD -m comment --comment "${'\\"'.repeat(100_000)}\n`;
    const rules = parseSave(rule).tables.get('filter')?.rules ?? [];
    expect(timeOf(() => rules.map(({ text }) => [targetOf(text), commentOf(text)]))).toBeLessThan(500);
  });

  it('a key that ends as a lease’s does is one, whatever its length', () => {
    expect(parseSubnetKey(`/${'a'.repeat(5_000)}/subnets/10.5.42.0-24`)).toEqual({ 4: cidr('10.5.42.0/24') });
    expect(parseSubnetKey(`/subnets/${'1'.repeat(200)}.5.42.0-24`)).toBeUndefined();
  });

  it('chains that jump to themselves have an end', () => {
    const loops = parseSave(`*filter\n:FORWARD DROP\n${'-A FORWARD -j FORWARD\n'.repeat(30)}`);
    const traffic = { network: cidr('10.244.0.0/16'), in: undefined, out: undefined };
    let fate: unknown;
    expect(timeOf(() => (fate = iptablesForwardFate(loops, traffic)))).toBeLessThan(2_000);
    expect(fate).toMatchObject({ mayAccept: true });
  });
});

describe('what is said', () => {
  it('is one line, on which no terminal acts, of a bearable length', () => {
    const error = new FlannelVpcError('INVALID', 'a\n  b\u001b[2J\u202ec\u009b', { hint: 'd\r\ne' });
    expect(error.message).toBe('a b\\u001b[2J\\u202ec\\u009b');
    expect(error.hint).toBe('d e');
    expect(new FlannelVpcError('INVALID', '\u001b'.repeat(50_000)).message.length).toBeLessThan(4_010);
  });

  it('of a net-conf’s commands is plain and short too', () => {
    const Backend = { Type: 'extension', SubnetAddCommand: `echo \u202e${'x'.repeat(60_000)}` };
    const { lines } = checkNetConf(JSON.stringify({ Network: '10.5.0.0/16', Backend }));
    expect(lines.at(-1)).toMatch(/^backend options: \{"subnetAdd":"echo \\u202ex{100}/);
    expect(lines.at(-1)?.length).toBeLessThan(2_010);
  });

  it('of net-conf names at most twenty members that mean nothing', () => {
    const members = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`m${at}`, at]));
    const { warnings } = parseNetConf(
      JSON.stringify({ Network: '10.5.0.0/16', Backend: { Type: 'alloc' }, ...members }),
    );
    expect(warnings).toHaveLength(21);
    expect(warnings.at(-1)).toBe('4980 more members are not known and were ignored');
  });

  it('of keys in etcd is at most ten lines in a minute, and how many more there were', () => {
    const said: (readonly [string, unknown])[] = [];
    const warn = (text: string, fields?: unknown): void => void said.push([text, fields]);
    let now = 0;
    const keys = createEtcdKeys('/coreos.com/network');
    const logger = { debug() {}, info() {}, warn, error: warn };
    const reader = createEntryReader({ keys, logger, clock: { monotonic: () => now } });
    for (let at = 0; at < 3_000; at++) reader.read(pair(`${keys.subnets}x${at}${'y'.repeat(1_000)}`, '{}'));
    expect(said).toHaveLength(10);
    expect(JSON.stringify(said[0]).length).toBeLessThan(400);
    now = 60_000;
    reader.read(pair(`${keys.subnets}z`, '{}'));
    expect(said.slice(10).map(([text, fields]) => [text, fields])).toEqual([
      ['ignored more keys in etcd than are named', { more: 2_990 }],
      ['ignoring a key in etcd', { key: `${keys.subnets}z`, problem: 'its name is not like 10.5.42.0-24' }],
    ]);
  });
});

describe('numbers', () => {
  it('of a Retry-After are not believed beyond five minutes', () => {
    const refusal = { status: 429, text: '', method: 'GET', path: '/', doing: 'list nodes' };
    expect(failureOf({ ...refusal, headers: { 'retry-after': '1e300' } }).retryAfterMs).toBe(300_000);
    expect(failureOf({ ...refusal, headers: { 'retry-after': '3' } }).retryAfterMs).toBe(3_000);
  });

  it('of an MTU are finite', () => {
    expect(() => parseSubnetFile(`FLANNEL_SUBNET=10.5.1.1/24\nFLANNEL_MTU=${'9'.repeat(400)}\n`)).toThrow(/no number/);
  });
});

it('what ip prints in place of JSON counts as nothing', async () => {
  const run = async () => ({ exitCode: 0, stdout: 'Device not found', stderr: '' });
  expect([...(await readVxlanCounters(run, new AbortController().signal))]).toEqual([]);
});
