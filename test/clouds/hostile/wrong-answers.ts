/** Answers that can be read, and say what no cloud does. */
import fc from 'fast-check';
import { hostileText, jsonText, mutation } from '../../support/hostile.ts';
import { xmlMutation } from '../../support/hostile-xml.ts';
import type { HonestAnswer, Hostility } from './hostility.ts';
import type { Sending } from './sending.ts';

const page = '<html><head><title>Log in to the hotel network</title></head><body>hello</body></html>';
const unclear = { unusable: false, slow: false } as const;
const html = { 'content-type': 'text/html; charset=UTF-8' };

/** Right, but for one part of it. */
const exchanged = fc.tuple(mutation, xmlMutation, hostileText).map(([change, changeXml, text]): Hostility => {
  const mutate = (body: string): string => {
    if (body.trimStart().startsWith('<')) return changeXml(body);
    try {
      return jsonText(change(JSON.parse(body)));
    } catch {
      return `${text}${body.slice(text.length)}`;
    }
  };
  const turn = ({ status, headers, body }: HonestAnswer): Sending => ({
    kind: 'whole',
    status,
    headers,
    body: mutate(body),
  });
  return { name: 'one part exchanged', ...unclear, turn };
});

const statuses = fc
  .tuple(
    fc.integer({ min: 100, max: 599 }),
    fc.constantFrom('honest', '', page, '{"error":{}}', 'null', '[]', '"x"', '0'),
    fc.boolean(),
  )
  .map(
    ([status, body, isHtml]): Hostility => ({
      name: `status ${status} with ${body || 'nothing'}`,
      ...unclear,
      turn: (honest) => ({
        kind: 'whole',
        status,
        headers: isHtml ? html : honest.headers,
        body: body === 'honest' ? honest.body : body,
      }),
    }),
  );

const refusals = fc
  .tuple(fc.constantFrom(400, 401, 403, 404, 409, 429, 500, 503), hostileText, hostileText, hostileText)
  .map(
    ([status, code, message, header]): Hostility => ({
      name: `a refusal ${status} in words of its own`,
      ...unclear,
      turn({ headers, body }) {
        const retry = { 'retry-after': header.replace(/[^\x20-\x7e]/g, '').slice(0, 5_000) };
        const long = message.repeat(20);
        const json = {
          ...{
            error: {
              code,
              message: long,
              errors: [{ reason: code, message: long }],
              details: [{ code, message: long }],
            },
          },
          ...{ Code: code, Message: long, RequestId: message, AccessDeniedDetail: { AuthAction: message } },
        };
        const safe = (text: string): string => text.replace(/[<&]/g, '');
        const inXml = `<Response><Errors><Error><Code>${safe(code)}</Code><Message>${safe(long)}</Message></Error></Errors><RequestID>${safe(message)}</RequestID></Response>`;
        const isXml = body.trimStart().startsWith('<');
        return { kind: 'whole', status, headers: { ...headers, ...retry }, body: isXml ? inXml : JSON.stringify(json) };
      },
    }),
  );

const types = fc
  .constantFrom(
    'text/html',
    'application/octet-stream',
    'image/png',
    '',
    'application/json; charset=utf-16',
    'x'.repeat(5_000),
  )
  .map(
    (type): Hostility => ({
      name: `content type ${type.slice(0, 20)}`,
      ...unclear,
      turn: ({ status, headers, body }) => ({
        kind: 'whole',
        status,
        headers: { ...headers, 'content-type': type },
        body,
      }),
    }),
  );

/** Sound as JSON or XML, and far too much of it. */
const huge = fc.constantFrom(1, 4).map(
  (megabytes): Hostility => ({
    name: `${megabytes} MB behind a right answer`,
    ...unclear,
    turn({ status, headers, body }) {
      const more = 'x'.repeat(megabytes << 20);
      const root = /<(\w+Response)[\s>]/.exec(body)?.[1];
      const text = root
        ? body.replace(`</${root}>`, `<more>${more}</more></${root}>`)
        : body.replace(/\}\s*$/, `,"more":["${more}",${'[0],'.repeat(50_000)}0]}`);
      return { kind: 'whole', status, headers, body: text };
    },
  }),
);

/** A list that goes on, always at the same place. */
const circle: fc.Arbitrary<Hostility> = fc.constant({
  name: 'one more page, again and again',
  ...unclear,
  turn({ status, headers, body }: HonestAnswer): Sending {
    const token = 'YWdhaW4=';
    const text = body
      .replace(/<\/\w+>\s*$/, (end) => `<nextToken>${token}</nextToken>${end}`)
      .replace(
        /\}\s*$/,
        `,"NextToken":"${token}","nextPageToken":"${token}","nextLink":"/again","TotalCount":1000000000}`,
      );
    return { kind: 'whole', status, headers, body: text };
  },
});

/** Any of them. */
export const wrongAnswers: fc.Arbitrary<Hostility> = fc.oneof(
  { weight: 30, arbitrary: exchanged },
  { weight: 10, arbitrary: statuses },
  { weight: 10, arbitrary: refusals },
  { weight: 3, arbitrary: circle },
  { weight: 3, arbitrary: types },
  { weight: 2, arbitrary: huge },
);
