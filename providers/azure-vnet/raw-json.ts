/**
 * JSON that survives being read and written: numbers keep their digits, which JavaScript's own would lose (`1.0`, `9007199254740993`).
 * Member order is kept as it is by JavaScript anyway.
 */
import { assertShallow } from '../../src/core/json.ts';

/** An object as read, whatever is in it. */
export type RawObject = Readonly<Record<string, unknown>>;

/** ECMAScript's "JSON.parse source text access", which TypeScript's library does not declare yet. */
const json = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(source: string): unknown;
};

/** As `JSON.parse`; a number that would not be written as it was read is an opaque value that is. @throws SyntaxError. */
export function parseRaw(text: string): unknown {
  assertShallow(text);
  return json.parse(text, (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
  );
}

/** Whether a value is an object with members. */
export function isRawObject(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
