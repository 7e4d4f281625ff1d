import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import { createFacts, NotKnown } from '../../../src/doctor/facts.ts';
import { type FindingGroup, failed, ok, warning } from '../../../src/doctor/findings.ts';
import { parseDoctorOptions } from '../../../src/doctor/options.ts';
import { isHealthy, reportDocument, reportLines } from '../../../src/doctor/render.ts';
import { type Check, runChecks } from '../../../src/doctor/run-checks.ts';
import { createPaint } from '../../../src/operator/paint.ts';

const signal = new AbortController().signal;
const run = (checks: readonly Check[], deadlineMs = 5_000, its: AbortSignal = signal) =>
  runChecks(checks, { clock: systemClock, deadlineMs, signal: its });
const check = (name: string, effect: Check['run'], more: Partial<Check> = {}): Check => ({
  ...{ group: 'node', name, unless: 'failed', run: effect },
  ...more,
});

describe('checks', () => {
  test('are grouped in the order of what rests on what, and keep their own', async () => {
    const report = await run([
      check('n', async () => [ok('n', 'x')]),
      check('s1', async () => [ok('s1', 'x')], { group: 'store' }),
      check('s2', async () => [ok('s2', 'x')], { group: 'store' }),
      check('silent', async () => [], { group: 'cloud' }),
    ]);
    expect(report.map(({ group, findings }) => [group, ...findings.map((one) => one.check)])).toEqual([
      ['store', 's1', 's2'],
      ['node', 'n'],
    ]);
  });

  test('one that throws is a finding with the error’s hint, and stops no other', async () => {
    const [report] = await run([
      check('bad', () => Promise.reject(new FlannelVpcError('NOT_FOUND', 'no such thing', { hint: 'Make one.' }))),
      check('odd', () => Promise.reject(new Error('a bug')), { unless: 'warning' }),
      check('good', async () => [ok('good', 'x')]),
    ]);
    expect(report?.findings).toEqual([
      failed('bad', 'no such thing', 'Make one.'),
      expect.objectContaining({ check: 'odd', status: 'warning', found: 'a bug' }),
      ok('good', 'x'),
    ]);
  });

  test('one that never ends is cut off, its signal fired', async () => {
    let fired = false;
    const [report] = await run(
      [
        check('slow', (own) => {
          own.addEventListener('abort', () => {
            fired = true;
          });
          return new Promise(() => {});
        }),
      ],
      20,
    );
    expect(report?.findings).toMatchObject([
      { check: 'slow', status: 'failed', found: expect.stringMatching(/no result within/) },
    ]);
    expect(fired).toBe(true);
  });

  test('all end when the run is interrupted', async () => {
    const ending = new AbortController();
    const running = run([check('slow', () => new Promise(() => {}))], 60_000, ending.signal);
    ending.abort(new DOMException('interrupted', 'AbortError'));
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('facts', () => {
  test('are read once, and their failure is told to one and only named to the others', async () => {
    let reads = 0;
    const fact = createFacts({ clock: systemClock, deadlineMs: 5_000, signal });
    const broken = fact('net-conf', async () => {
      reads += 1;
      throw new Error('why');
    });
    const onTop = fact('the tables', async () => await broken.need());
    const [report] = await run([
      check('owner', async () => [ok('owner', String(await broken.read()))]),
      check('other', async () => [ok('other', String(await onTop.need()))]),
    ]);
    expect(report?.findings).toEqual([
      expect.objectContaining({ check: 'owner', status: 'failed', found: 'why' }),
      warning('other', 'not checked: net-conf is not known', 'Mend what is said of net-conf, then run doctor again.'),
    ]);
    expect(reads).toBe(1);
  });

  test('one that takes too long is not known', async () => {
    const fact = createFacts({ clock: systemClock, deadlineMs: 20, signal });
    const slow = fact(
      'the cloud',
      (own) => new Promise((_, reject) => own.addEventListener('abort', () => reject(own.reason))),
    );
    await expect(slow.read()).rejects.toThrow(/the cloud: no answer within/);
    await expect(slow.need()).rejects.toBeInstanceOf(NotKnown);
  });
});

describe('the report', () => {
  const report: readonly FindingGroup[] = [
    { group: 'store', findings: [ok('a', 'fine'), warning('b', 'so so', 'Look.')] },
    { group: 'node', findings: [failed('c', 'bad \u001b[2J thing', 'Mend it.')] },
  ];

  test('shows a line for each finding, and below it what to do', () => {
    expect(reportLines(report, createPaint(false))).toEqual([
      'store',
      '  ok    a: fine',
      '  warn  b: so so',
      '        → Look.',
      '',
      'node',
      '  FAIL  c: bad \uFFFD[2J thing',
      '        → Mend it.',
      '',
      '1 failed, 1 warnings, 1 ok',
    ]);
  });

  test('has colours only where they are wanted', () => {
    expect(reportLines(report, createPaint(true)).join('')).toContain('\u001b[31mFAIL');
    expect(reportLines(report, createPaint(false)).join('')).not.toContain('\u001b');
  });

  test('is healthy with warnings, and not with a failure', () => {
    expect(isHealthy(report)).toBe(false);
    expect(isHealthy(report.slice(0, 1))).toBe(true);
    expect(reportDocument(report)).toMatchObject({ healthy: false, failed: 1, warnings: 1, passed: 1 });
  });
});

describe('the command line', () => {
  test('takes the agent’s flags and environment, and how to show', () => {
    const command = parseDoctorOptions(['--healthz-port=1', '-o', 'json', '--iface=eth1'], {
      FLANNELD_ETCD_PREFIX: '/p',
    });
    if (command.kind !== 'run') throw new Error(command.kind);
    expect(command.options).toMatchObject({ interfaces: { ifaces: ['eth1'] }, etcd: { prefix: '/p' } });
    expect(command.get.text('output')).toBe('json');
  });

  test('a table unless told otherwise; an unknown form is misuse', () => {
    const command = parseDoctorOptions([], {});
    expect(command.kind === 'run' && command.get.text('output')).toBe('table');
    expect(() => parseDoctorOptions(['--output=xml'], {})).toThrow(/table, json, yaml/);
    expect(() => parseDoctorOptions(['-o'], {})).toThrow(/needs an argument/);
    expect(parseDoctorOptions(['--help'], {}).kind).toBe('help');
  });
});
