import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { commandNames } from '../../../src/cli/command.ts';
import { commandTable, describeCommand } from '../../../src/cli/command-table.ts';
import { commandsDocument, commandUsage, generalUsage } from '../../../src/cli/command-usage.ts';
import { completionScript } from '../../../src/cli/completion.ts';
import { parseArguments } from '../../../src/operator/arguments.ts';

const usage = (message: RegExp): object =>
  expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) });

describe('an operator’s command line', () => {
  test.each([
    [['release', '10.5.1.0/24', '--yes']],
    [['--yes', 'release', '10.5.1.0/24']],
    [['release', '--etcd-prefix', '/other', '-yes', '10.5.1.0/24']],
    [['release', '--yes', '--', '10.5.1.0/24']],
  ])('flags may stand anywhere: %j', (argv) => {
    const parsed = parseArguments('leases', argv, {});
    if (parsed.kind !== 'run') throw new Error(parsed.kind);
    expect(parsed).toMatchObject({ verb: { name: 'release' }, operands: ['10.5.1.0/24'] });
    expect(parsed.get.boolean('yes')).toBe(true);
  });

  test('etcd is named by the environment, and nothing else', () => {
    const environment = { FLANNELD_ETCD_PREFIX: '/env', FLANNELD_YES: 'true' };
    const parsed = parseArguments('leases', ['release', '10.5.1.0/24'], environment);
    if (parsed.kind !== 'run') throw new Error(parsed.kind);
    expect(parsed.get.text('etcd-prefix')).toBe('/env');
    expect(parsed.get.boolean('yes')).toBe(false);
  });

  test('a flag of another verb is none of this one', () => {
    expect(() => parseArguments('leases', ['release', 'x', '--public-ip=1.2.3.4'], {})).toThrow(
      usage(/not defined: -public-ip/),
    );
  });

  test('a command without its verb means the listing', () => {
    const parsed = parseArguments('leases', ['-o', 'json'], {});
    if (parsed.kind !== 'run') throw new Error(parsed.kind);
    expect(parsed.verb.name).toBe('list');
    expect(parsed.get.text('output')).toBe('json');
    expect(() => parseArguments('leases', ['-o', 'xml'], {})).toThrow(usage(/one of table, json, yaml/));
  });

  test('--help wins, and keeps the verb', () => {
    expect(parseArguments('leases', ['release', '--help'], {})).toEqual({ kind: 'help', verb: 'release' });
    expect(parseArguments('leases', ['-h'], {})).toEqual({ kind: 'help', verb: undefined });
  });

  test('an unknown verb suggests the nearest, or names all', () => {
    expect(() => parseArguments('leases', ['reserv'], {})).toThrow(
      usage(/unknown verb "reserv"; did you mean reserve\?/),
    );
    expect(() => parseArguments('netconf', ['zzzz'], {})).toThrow(usage(/"zzzz"; give one of check, get, set/));
  });
});

describe('the command table', () => {
  test('describes every command once', () => {
    expect(commandTable.map(({ name }) => name).sort()).toEqual([...commandNames].sort());
  });

  test('usage, the document and completion have every verb, and every flag of its own', () => {
    const script = completionScript('bash');
    for (const { name, verbs } of commandTable) {
      for (const verb of verbs) {
        for (const text of [commandUsage(name), commandsDocument(), generalUsage(), script]) {
          expect(text).toContain(verb.name);
        }
        for (const flag of verb.flags) {
          expect(commandUsage(name)).toContain(`--${flag.name}`);
          expect(script).toContain(`--${flag.name}`);
        }
      }
    }
  });

  test('every verb of a command that can fail says how it ends', () => {
    for (const name of commandNames.filter((each) => !['version', 'help', 'completion'].includes(each)))
      for (const verb of describeCommand(name).verbs) expect(verb.exits.length).toBeGreaterThan(0);
  });

  test('usage fits 100 columns', () => {
    for (const line of [
      generalUsage(),
      ...commandNames.filter((name) => name !== 'agent').map((name) => commandUsage(name)),
    ]
      .join('\n')
      .split('\n'))
      expect(line.length).toBeLessThanOrEqual(100);
  });
});

/** What bash offers for the last of these words. */
function offered(...words: readonly string[]): readonly string[] {
  const script = `${completionScript('bash')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _flannel_vpc; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync('bash', ['-c', script, 'bash', 'flannel-vpc', ...words], { encoding: 'utf8' });
  return output.split('\n').filter((line) => line !== '');
}

describe('completion in bash', () => {
  test.each([
    [['net'], ['netconf']],
    [['routes', 'p'], ['purge']],
    [['routes', '--out'], ['--output']],
    [['status', '-o', 'y'], ['yaml']],
    [['routes', 'purge', '--netw'], ['--network']],
    [
      ['leases', 're'],
      ['release', 'reserve'],
    ],
    [['leases', 'release', '--y'], ['--yes']],
    [['netconf', 'set', '--for'], ['--force']],
    [['agent', '--log-format', 'j'], ['json']],
    [['completion', 'b'], ['bash']],
    [['help', 'lea'], ['leases']],
    [['netconf', 'check', '/etc/host'], expect.arrayContaining(['/etc/hosts'])],
  ])('%j', (words, wanted) => {
    expect(offered(...words)).toEqual(wanted);
  });
});
