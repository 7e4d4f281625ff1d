/** Parameters of an RPC-style request: flat names such as `RouteEntries.1.DstCidrBlock` become lists of objects. */
import type * as z from 'zod';
import type { SimulatorRequest } from '../simulator/http-server.ts';
import { refusals } from './refusals.ts';

type Nested = { [name: string]: string | Nested };

/** All parameters, of the query and of a form in the body. @throws Refusal for one given twice. */
export function parametersOf(request: SimulatorRequest): Readonly<Record<string, string>> {
  const form = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
  const all: Record<string, string> = {};
  for (const [name, value] of [...request.url.searchParams, ...(form ? new URLSearchParams(request.body) : [])]) {
    if (name in all) throw refusals.illegal(name, 'it is given twice');
    all[name] = value;
  }
  return all;
}

/** The parameters as the schema of the operation has them. @throws Refusal in the cloud's words. */
export function checkedParameters<T>(schema: z.ZodType<T>, flat: Readonly<Record<string, string>>): T {
  const root: Nested = {};
  for (const [name, value] of Object.entries(flat)) {
    const parts = name.split('.');
    let place = root;
    for (const part of parts.slice(0, -1)) {
      const next = place[part] ?? {};
      if (typeof next === 'string') throw refusals.unknownParameter(name);
      place[part] = next;
      place = next;
    }
    place[parts.at(-1) ?? ''] = value;
  }
  const checked = schema.safeParse(listed(root));
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const path = issue?.path.map(String).join('.') ?? '';
  if (issue?.code === 'unrecognized_keys') {
    throw refusals.unknownParameter([path, issue.keys[0]].filter((part) => part !== '').join('.'));
  }
  const given = issue?.path.reduce<unknown>(
    (value, part) => (value as Record<PropertyKey, unknown>)?.[part],
    listed(root),
  );
  if (given === undefined) throw refusals.missing(path);
  throw refusals.illegal(path, issue?.message ?? '');
}

/** Objects whose names are 1, 2, 3, … become lists. */
function listed(nested: Nested): unknown {
  const names = Object.keys(nested);
  const isList = names.length > 0 && names.every((name) => /^[1-9]\d*$/.test(name));
  if (isList) {
    const sorted = names.map(Number).sort((a, b) => a - b);
    if (sorted.at(-1) !== sorted.length)
      throw refusals.illegal(String(sorted.at(-1)), 'lists are numbered without a gap');
    return sorted.map((place) => member(nested[String(place)] ?? ''));
  }
  return Object.fromEntries(names.map((name) => [name, member(nested[name] ?? '')]));
}

function member(value: string | Nested): unknown {
  return typeof value === 'string' ? value : listed(value);
}
