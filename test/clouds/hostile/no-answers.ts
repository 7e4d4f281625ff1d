/** Answers that are none: cut, packed, sent elsewhere, without an end, or no HTTP. */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { entityBomb } from '../../support/hostile-xml.ts';
import type { Hostility } from './hostility.ts';
import type { Sending } from './sending.ts';

const clear = { unusable: true, slow: false } as const;
const page = '<html><head><title>Log in to the hotel network</title></head><body>hello</body></html>';
const xml = { 'content-type': 'text/xml;charset=UTF-8' };
const html = { 'content-type': 'text/html; charset=UTF-8' };

const truncated = fc.tuple(fc.nat(), fc.constantFrom('whole', 'cut', 'chunk')).map(
  ([at, how]): Hostility => ({
    name: `truncated (${how})`,
    ...clear,
    turn({ status, headers, body }) {
      const part = body.slice(0, at % Math.max(1, body.length));
      if (how === 'whole') return { kind: 'whole', status, headers, body: part };
      return { kind: 'cut', status, headers, body: part, chunked: how === 'chunk' };
    },
  }),
);

const compressed = fc.constantFrom('garbage', 'truncated', 'cut', 'bomb').map(
  (how): Hostility => ({
    name: `gzip, ${how}`,
    ...clear,
    turn({ status, headers, body }) {
      const all = { ...headers, 'content-encoding': 'gzip' };
      if (how === 'garbage') return { kind: 'whole', status, headers: all, body: `\u001f\u008b${body}` };
      if (how === 'bomb') return { kind: 'whole', status, headers: all, body: bomb() };
      const part = gzipSync(body).subarray(0, 20);
      return how === 'cut'
        ? { kind: 'cut', status, headers: all, body: part, chunked: true }
        : { kind: 'whole', status, headers: all, body: part };
    },
  }),
);

let bombMade: Buffer | undefined;
/** A quarter of a gigabyte of blanks in a quarter of a megabyte. */
function bomb(): Buffer {
  bombMade ??= gzipSync(Buffer.alloc(1 << 28, ' '), { level: 1 });
  return bombMade;
}

const rubbish = fc
  .constantFrom<readonly [string, () => string, Readonly<Record<string, string>>]>(
    ['a log-in page', () => page, html],
    ['an entity bomb', () => entityBomb('lolz'), xml],
    ['nested tags', () => '<a>'.repeat(100_000), xml],
    ['nested brackets', () => '['.repeat(200_000), {}],
    ['a document type without an end', () => '<!DOCTYPE a ['.repeat(2_000), xml],
    ['nothing', () => '', {}],
    ['zero bytes', () => '\0'.repeat(10_000), {}],
    ['eight megabytes of a text', () => `"${'a'.repeat(8 << 20)}`, {}],
    ['eight megabytes of tags', () => '<a/>'.repeat(2 << 20), xml],
  )
  .map(
    ([name, body, more]): Hostility => ({
      name,
      ...clear,
      turn: ({ status, headers }) => ({ kind: 'whole', status, headers: { ...headers, ...more }, body: body() }),
    }),
  );

const redirects = fc.tuple(fc.constantFrom(300, 301, 302, 303, 307, 308), fc.constantFrom('', page)).map(
  ([status, body]): Hostility => ({
    name: `redirect ${status}`,
    ...clear,
    turn: ({ headers }, elsewhere) => ({
      kind: 'whole',
      status,
      headers: { ...headers, location: elsewhere, 'azure-asyncoperation': elsewhere },
      body,
    }),
  }),
);

const noHttp = fc
  .constantFrom(
    'hello\r\n\r\n',
    'HTTP/1.1 200 OK\r\n: x\r\n\r\n',
    `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(300_000)}\r\n\r\n`,
    'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}',
    'HTTP/1.1 99999 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
  )
  .map((bytes): Hostility => ({ name: 'no HTTP', ...clear, turn: () => ({ kind: 'raw', bytes }) }));

const endless = fc
  .constantFrom<readonly [string, string, number]>(
    ['', ' ', 40],
    ['{"a":"', 'x'.repeat(1 << 16), 0],
    ['<a>', '<b/>'.repeat(1 << 14), 0],
  )
  .map(
    ([start, piece, pauseMs]): Hostility => ({
      name: pauseMs > 0 ? 'a body that drips' : 'a body without an end',
      unusable: true,
      slow: true,
      turn: ({ status, headers }) => ({ kind: 'endless', status, headers, start, piece, pauseMs }),
    }),
  );

const silent: fc.Arbitrary<Hostility> = fc.constant({
  name: 'silence',
  unusable: true,
  slow: true,
  turn: (): Sending => ({ kind: 'silent' }),
});

/** Any of them. */
export const noAnswers: fc.Arbitrary<Hostility> = fc.oneof(
  { weight: 10, arbitrary: truncated },
  { weight: 6, arbitrary: rubbish },
  { weight: 4, arbitrary: compressed },
  { weight: 4, arbitrary: redirects },
  { weight: 3, arbitrary: noHttp },
  { weight: 2, arbitrary: endless },
  { weight: 1, arbitrary: silent },
);
