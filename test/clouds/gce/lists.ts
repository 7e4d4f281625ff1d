/** Lists: filters, order, pages. Grammar as documented for the `filter` parameter of list methods, as far as it is used. */
import { refusals } from './errors.ts';

export const listParameters = ['filter', 'maxResults', 'orderBy', 'pageToken', 'returnPartialSuccess'] as const;

/** Most that `maxResults` may ask for, and what it is when it does not. */
const most = 500;

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken?: string;
}

/**
 * One page. `pageSize`: most that the simulator gives at once, whatever was asked for.
 *
 * @throws Refusal for parameters that are wrong, or beyond what is modelled.
 */
export function pageOf<T extends object>(
  all: readonly T[],
  parameters: Readonly<Record<string, string>>,
  pageSize: number,
): Page<T> {
  const {
    filter = '',
    maxResults = String(most),
    orderBy = '',
    pageToken,
    returnPartialSuccess = 'false',
  } = parameters;
  if (!/^(?:0|[1-9]\d{0,8})$/.test(maxResults) || Number(maxResults) > most) {
    throw refusals.invalid('maxResults', maxResults, `Values must be within the range: [0, ${most}]`);
  }
  if (!/^(?:true|false)$/.test(returnPartialSuccess)) throw refusals.badJson(`Invalid value: ${returnPartialSuccess}`);
  const sorted = ordered(filtered(all, filter), orderBy);
  // What a token stands for is the server's own; it holds for the same filter and order only.
  const stamp = JSON.stringify([filter, orderBy]);
  const start = pageToken === undefined || pageToken === '' ? 0 : startOf(pageToken, stamp);
  const size = Math.min(Number(maxResults) || most, pageSize);
  const items = sorted.slice(start, start + size);
  if (start + size >= sorted.length) return { items };
  return { items, nextPageToken: Buffer.from(JSON.stringify([start + size, stamp])).toString('base64url') };
}

function startOf(token: string, stamp: string): number {
  try {
    const [start, of] = JSON.parse(Buffer.from(token, 'base64url').toString()) as [unknown, unknown];
    if (Number.isInteger(start) && of === stamp) return start as number;
  } catch {
    // Below.
  }
  throw refusals.invalid('pageToken', token, 'The page token is invalid.');
}

function ordered<T extends object>(items: readonly T[], orderBy: string): readonly T[] {
  if (orderBy !== '' && orderBy !== 'name' && orderBy !== 'creationTimestamp desc') {
    throw refusals.invalid('orderBy', orderBy, "Must be 'name' or 'creationTimestamp desc'.");
  }
  const field = orderBy.startsWith('creation') ? 'creationTimestamp' : 'name';
  const text = (item: T) => String(valueAt(item, field));
  const sorted = items.toSorted((a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0));
  return field === 'name' ? sorted : sorted.reverse();
}

const word = String.raw`"(?:[^"\\]|\\.)*"|[^\s()"]+`;
const term = new RegExp(
  String.raw`^\s*(\()?\s*([A-Za-z][A-Za-z0-9.]*)\s*(=|!=|\beq\b|\bne\b)\s*(${word})\s*(\))?\s*(AND\b)?`,
);

/**
 * `name = "x"`, `name != x`, `name eq regex`, `name ne regex`; several joined by AND, or by standing in parentheses one after
 * the other. Not both kinds in one filter, and one regex at most.
 */
function filtered<T extends object>(items: readonly T[], filter: string): readonly T[] {
  const tests: ((item: T) => boolean)[] = [];
  const kinds = new Set<string>();
  let rest = filter.trim();
  while (rest !== '') {
    const match = term.exec(rest);
    const [whole = '', open, field = '', operator = '', value = '', close] = match ?? [];
    if (!match || (open === undefined) !== (close === undefined)) {
      throw refusals.invalid('filter', filter, 'Invalid list filter expression.');
    }
    const wanted = value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
    kinds.add(operator === 'eq' || operator === 'ne' ? 'regex' : 'compare');
    tests.push(testOf(field, operator, wanted, filter));
    rest = rest.slice(whole.length);
  }
  if (kinds.size > 1 || (kinds.has('regex') && tests.length > 1)) {
    throw refusals.invalid('filter', filter, 'Invalid list filter expression.');
  }
  return items.filter((item) => tests.every((test) => test(item)));
}

function testOf<T extends object>(
  field: string,
  operator: string,
  wanted: string,
  filter: string,
): (item: T) => boolean {
  const text = (item: T): string => {
    const value = valueAt(item, field);
    return value === undefined ? '' : String(value);
  };
  if (operator === '=') return (item) => text(item) === wanted;
  if (operator === '!=') return (item) => text(item) !== wanted;
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^(?:${wanted})$`);
  } catch {
    throw refusals.invalid('filter', filter, 'Invalid list filter expression.');
  }
  return (item) => pattern.test(text(item)) === (operator === 'eq');
}

function valueAt(item: object, path: string): unknown {
  let value: unknown = item;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return value;
}
