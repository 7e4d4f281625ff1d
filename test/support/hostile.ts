/**
 * Input that somebody made to do harm: texts, numbers, networks and documents. What finds most is a sound document with one thing
 * changed, so that everything around it is believed.
 */
import fc from 'fast-check';

/** How many cases a property tries, unless PROPERTY_RUNS says. */
export function propertyRuns(byDefault: number): number {
  return Number(process.env['PROPERTY_RUNS'] ?? byDefault);
}

/** Texts that mean something to a shell, a terminal, a browser, a file system or a runtime. */
const meaningful = [
  '',
  ' ',
  '\0',
  '\n',
  'a\nb=c',
  '\r\n\r\nHTTP/1.1 200 OK',
  '\u001b[2J\u001b]0;owned\u0007',
  '\u009b31m',
  '\u007f\u0008\u0008',
  '\u202egnp.exe',
  '\u2066\u2069\u200b\ufeff',
  '\u2028\u2029',
  '\ud800',
  'a\udfffb',
  '$(touch /tmp/owned)',
  '`id`',
  "'; rm -rf / #",
  '"; DROP TABLE routes; --',
  '&& reboot',
  '| cat /etc/shadow',
  '$IFS',
  '%s%n%x',
  '../../../../etc/passwd',
  '..%2f..%2fetc%2fshadow',
  '/dev/zero',
  '-j DROP',
  '--help',
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  '<!--',
  ']]>',
  '&lt;',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  'null',
  'undefined',
  'true',
  'NaN',
  'Infinity',
  '-0',
  '1e309',
  '0x10',
  '9007199254740993',
  '18446744073709551616',
  '２',
  '١٢٣',
] as const;

const addresses = [
  ...['0.0.0.0', '255.255.255.255', '127.0.0.1', '224.0.0.1', '169.254.169.254', '010.0.0.1', '1.2.3', '1.2.3.4.5'],
  ...[
    '256.1.1.1',
    '1.2.3.-4',
    '1.2.3.4 ',
    '1.2.3.4\n',
    '0x7f.1',
    '2130706433',
    '::',
    '::1',
    'ff02::1',
    '::ffff:10.0.0.1',
  ],
  ...[
    '::10.0.0.1',
    'fe80::1%eth0',
    'fe80::1%',
    ':::',
    '1::2::3',
    'fd00::g',
    'FD00::1',
    'fd00:0:0:0:0:0:0:0:1',
    '[::1]',
  ],
] as const;

const networks = [
  ...[
    '0.0.0.0/0',
    '::/0',
    '10.244.0.0/33',
    '10.244.0.0/-1',
    '10.244.0.0/',
    '/24',
    '10.244.0.0/024',
    '10.244.0.0/24/24',
  ],
  ...[
    '10.244.7.9/24',
    '10.244.0.0/16',
    '10.244.0.0/15',
    '10.244.0.0/32',
    '10.0.0.0/8',
    '169.254.169.254/32',
    'fd00::/129',
  ],
  ...['::ffff:10.244.0.0/112', 'fd00::1%eth0/64', '10.244.0.0/1e1', '10.244.0.0/٢٤', '10.244.0.0/99999999999999999999'],
] as const;

/** An address, or what looks like one. */
export const hostileAddress: fc.Arbitrary<string> = fc.oneof(fc.constantFrom(...addresses), fc.ipV4(), fc.ipV6());

/** A network, or what looks like one. */
export const hostileCidr: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...networks),
  fc.tuple(hostileAddress, fc.integer({ min: -1, max: 130 })).map(([address, length]) => `${address}/${length}`),
);

/** Any text: short and long, sound and not. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...meaningful) },
  { weight: 2, arbitrary: fc.oneof(hostileAddress, hostileCidr) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...meaningful), fc.constantFrom(...meaningful)).map((two) => two.join('')),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('a', '1', '.', ':', ' ', '\\"', '\u001b', '\ud800'), fc.constantFrom(65, 513, 5_000))
      .map(([piece, times]) => piece.repeat(times)),
  },
);

/** Stands in a document for a number that JavaScript would not write so. */
class Written {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const numbers = [
  ...['-0', '1e309', '-1e309', '9007199254740993', '18446744073709551616', '0.1', '-1', '4294967296', '2147483648'],
  ...['1e-400', '0', '65536', '1.0', '99999999999999999999999999'],
].map((text) => new Written(text));

/** A value of any type that JSON has. */
const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  { weight: 3, arbitrary: fc.constantFrom<unknown>(null, true, false, {}, [], [[]], [null], { '': '' }, [{}], '0', 0) },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(...numbers) },
  { weight: 1, arbitrary: fc.constantFrom(50, 300, 5_000).map(nested) },
  { weight: 1, arbitrary: hostileText.map((text) => Array.from({ length: 300 }, () => text.slice(0, 40))) },
);

function nested(depth: number): unknown {
  return new Written(`${'[{"a":'.repeat(depth)}0${'}]'.repeat(depth)}`);
}

type Path = readonly (string | number)[];

/** Every place of a document, itself first. */
function placesOf(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null || value instanceof Written) return [path];
  return [path, ...Object.entries(value).flatMap(([name, member]) => placesOf(member, [...path, name]))];
}

export type Change = (value: unknown) => unknown;

/** The document with the change made at the place. Members may be called __proto__, so nothing is assigned. */
function changedAt(value: unknown, [name, ...rest]: Path, change: Change): unknown {
  if (name === undefined) return change(value);
  if (Array.isArray(value))
    return value.map((item, at) => (String(at) === name ? changedAt(item, rest, change) : item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, key === name ? changedAt(member, rest, change) : member]),
  );
}

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: hostileValue.map((wrong) => () => wrong) },
  {
    weight: 2,
    arbitrary: hostileText.map((text) => (value: unknown) => (typeof value === 'string' ? `${value}${text}` : text)),
  },
  { weight: 1, arbitrary: fc.constant((value: unknown) => [value]) },
  { weight: 1, arbitrary: fc.constant((value: unknown) => ({ a: value })) },
  { weight: 1, arbitrary: fc.constant((value: unknown) => (Array.isArray(value) ? [...value, ...value] : undefined)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', ''), hostileText), hostileValue)
      .map(([name, member]) => (value: unknown) => ({ ...(typeof value === 'object' ? value : {}), [name]: member })),
  },
);

/** One to three changes of any document, at places of its own. */
export const mutation: fc.Arbitrary<Change> = fc.array(fc.tuple(fc.nat(), change), { minLength: 1, maxLength: 3 }).map(
  (changes) => (sample: unknown) =>
    changes.reduce((value, [at, act]) => {
      const places = placesOf(value);
      return changedAt(value, places[at % places.length] ?? [], act);
    }, sample),
);

/** A sound document with one to three things changed. */
export function mutated(samples: readonly unknown[]): fc.Arbitrary<unknown> {
  return fc.tuple(fc.constantFrom(...samples), mutation).map(([sample, act]) => act(sample));
}

/** JSON text of a document, in which numbers stand as they were asked for. */
export function jsonText(value: unknown): string {
  const written: string[] = [];
  const text = JSON.stringify(value, (_, part: unknown) =>
    part instanceof Written ? `@@${written.push(part.text) - 1}@@` : part,
  );
  return (text ?? 'null').replace(/"@@(\d+)@@"/g, (_, at: string) => written[Number(at)] ?? '');
}

/** Text where JSON is expected: mostly sound JSON with something changed in it, and some that is no JSON at all. */
export function hostileJson(samples: readonly unknown[]): fc.Arbitrary<string> {
  const text = mutated(samples).map(jsonText);
  const sound = fc.constantFrom(...samples).map(jsonText);
  return fc.oneof(
    { weight: 10, arbitrary: text },
    { weight: 1, arbitrary: fc.tuple(sound, fc.nat()).map(([whole, at]) => whole.slice(0, at % (whole.length + 1))) },
    { weight: 1, arbitrary: fc.tuple(sound, hostileText).map(([whole, more]) => `${whole}${more}`) },
    { weight: 1, arbitrary: sound.map((whole) => `\ufeff${whole}`) },
    // The same member twice: the last one counts.
    { weight: 1, arbitrary: fc.tuple(text, sound).map(([a, b]) => `${a.slice(0, -1)},${b.slice(1)}`) },
    { weight: 1, arbitrary: fc.constantFrom(200, 5_000, 20_000).map((depth) => '['.repeat(depth)) },
    { weight: 1, arbitrary: fc.constantFrom(300, 20_000).map((depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`) },
    { weight: 1, arbitrary: fc.constantFrom(5_000).map((depth) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`) },
    { weight: 1, arbitrary: fc.oneof(hostileText, fc.json()) },
  );
}

/** Lines of a text file or of a program's output, of which some are not what they should be. */
export function hostileLines(samples: readonly string[]): fc.Arbitrary<string> {
  const lines = samples.flatMap((text) => text.split('\n'));
  const line = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...lines) },
    { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...lines), hostileText, fc.nat()).map(spliced) },
    { weight: 1, arbitrary: hostileText },
  );
  return fc.array(line, { maxLength: 30 }).map((all) => all.join('\n'));
}

/** A text with another one put into it. */
function spliced([text, piece, at]: [string, string, number]): string {
  const place = at % (text.length + 1);
  return `${text.slice(0, place)}${piece}${text.slice(place + (at % 3))}`;
}

/** Something that a terminal or a log reader would act on, raw. */
export const rawControls = /[\p{Cc}\u2028\u2029\p{Bidi_Control}]/u;
