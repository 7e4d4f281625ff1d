/** JSON as values, in which a number keeps its digits: `1.50` and `9007199254740993` are given back as they came. */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same but for the order of members. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && sameJson(a[key], b[key]));
  }
  return a === b;
}

/** Without these members. */
export function without(object: JsonObject, members: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([member]) => !members.includes(member)));
}

/** ECMAScript's "JSON.parse source text access", which TypeScript's library does not declare yet. */
const json = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: Json, context: { readonly source?: string }) => Json): Json;
  rawJSON(source: string): Json;
};

/** A number that JavaScript would write otherwise becomes an opaque value, equal only to itself in the same digits. @throws SyntaxError */
export function parseJson(text: string): Json {
  return json.parse(text, (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
  );
}
