/**
 * Why a text is no JSON, in the words of the decoder that flannel uses (Go's encoding/json): operators and their alerts know
 * them, and they name the place more exactly than JavaScript's own. Only asked once JSON.parse has refused the text.
 */

/** The first thing that is wrong, such as `invalid character 'x' after top-level value (line 1, column 9)`. */
export function jsonSyntaxProblem(text: string): string | undefined {
  const found = firstTrouble(text);
  if (!found) return undefined;
  if (found.where === undefined) return 'unexpected end of JSON input';
  const before = text.slice(0, found.at).split('\n');
  const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  return `invalid character ${quote(charAt(text, found.at))} ${found.where} (${place})`;
}

interface Trouble {
  readonly at: number;
  /** undefined: the text ends too early. */
  readonly where: string | undefined;
}

type Place = 'value' | 'first element' | 'key' | 'first key' | 'colon' | 'end of value';

const closing = { '{': '}', '[': ']' } as const;
const places = { '{': 'after object key:value pair', '[': 'after array element' } as const;

function firstTrouble(text: string): Trouble | undefined {
  /** Objects and arrays that are open, outermost first. */
  const open: (keyof typeof closing)[] = [];
  let place: Place = 'value';
  let at = 0;
  for (;;) {
    while (/[ \t\r\n]/.test(text[at] ?? '')) at += 1;
    const char = text[at];
    const inner = open.at(-1);
    if (char === undefined) return place === 'end of value' && !inner ? undefined : { at, where: undefined };
    const mayClose: boolean = place === 'end of value' || place === 'first element' || place === 'first key';
    if (inner && mayClose && char === closing[inner]) {
      open.pop();
      place = 'end of value';
      at += 1;
    } else if (place === 'end of value') {
      if (!inner) return { at, where: 'after top-level value' };
      if (char !== ',') return { at, where: places[inner] };
      place = inner === '{' ? 'key' : 'value';
      at += 1;
    } else if (place === 'colon') {
      if (char !== ':') return { at, where: 'after object key' };
      place = 'value';
      at += 1;
    } else if (place === 'key' || place === 'first key') {
      if (char !== '"') return { at, where: 'looking for beginning of object key string' };
      const end = stringEnd(text, at);
      if (typeof end !== 'number') return end;
      place = 'colon';
      at = end;
    } else if (char === '{' || char === '[') {
      open.push(char);
      place = char === '{' ? 'first key' : 'first element';
      at += 1;
    } else {
      const end = scalarEnd(text, at, char);
      if (typeof end !== 'number') return end;
      place = 'end of value';
      at = end;
    }
  }
}

function scalarEnd(text: string, start: number, first: string): number | Trouble {
  if (first === '"') return stringEnd(text, start);
  if (/[-\d]/.test(first)) return numberEnd(text, start);
  const word = ['true', 'false', 'null'].find((each) => each.startsWith(first));
  if (word === undefined) return { at: start, where: 'looking for beginning of value' };
  for (const [offset, letter] of [...word].entries()) {
    if (text[start + offset] !== letter) {
      return { at: start + offset, where: `in literal ${word} (expecting '${letter}')` };
    }
  }
  return start + word.length;
}

function stringEnd(text: string, start: number): number | Trouble {
  for (let at = start + 1; at < text.length; at += 1) {
    const char = charAt(text, at);
    if (char === '"') return at + 1;
    if (char < ' ') return { at, where: 'in string literal' };
    if (char !== '\\') continue;
    at += 1;
    if (!/[bfnrtu\\/"]/.test(charAt(text, at))) return { at, where: 'in string escape code' };
    if (text[at] !== 'u') continue;
    for (const last = at + 4; at < last; ) {
      at += 1;
      if (!/[\da-fA-F]/.test(charAt(text, at))) return { at, where: 'in \\u hexadecimal character escape' };
    }
  }
  return { at: text.length, where: undefined };
}

function numberEnd(text: string, start: number): number | Trouble {
  let at = start;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const taken = pattern.exec(text)?.[0].length ?? 0;
    at += taken;
    return taken > 0;
  };
  take(/-/y);
  if (!take(/0|[1-9]\d*/y)) return { at, where: 'in numeric literal' };
  if (take(/\./y) && !take(/\d+/y)) return { at, where: 'after decimal point in numeric literal' };
  if (take(/[eE][+-]?/y) && !take(/\d+/y)) return { at, where: 'in exponent of numeric literal' };
  return at;
}

/** The end counts as a space, as it does to Go. */
function charAt(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined ? ' ' : String.fromCodePoint(code);
}

function quote(char: string): string {
  if (char === "'") return "'\\''";
  return char === '"' ? `'"'` : `'${JSON.stringify(char).slice(1, -1)}'`;
}

/** Go's words for a value of the wrong type; `whole` for a number where a whole one belongs. */
export function goKind(value: unknown, whole: 'whole' | 'any' = 'any'): string {
  if (typeof value === 'number') return whole === 'whole' ? `number ${value}` : 'number';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  return Array.isArray(value) ? 'array' : 'object';
}
