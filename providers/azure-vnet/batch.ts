/** Many changes of one table as one: which edits they are, what the table's routes are after them, and what fits into it. Pure. */
import { type FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import type { ChangeResult, RouteChange } from '../provider.ts';
import { keyOf } from './change.ts';
import { type Edit, edited, editFor, nameOf } from './edit.ts';
import { isRawObject, type RawObject } from './raw-json.ts';
import type { RouteNames } from './routes.ts';
import type { RawTable } from './tables.ts';

/** A table's changes, worked out: one edit and one result for each, in their order, and the routes after them. */
export interface Batch {
  readonly edits: readonly Edit[];
  readonly results: readonly ChangeResult[];
  readonly routes: readonly RawObject[];
  readonly keys: ReadonlySet<string>;
}

export function planBatch(
  table: RawTable,
  changes: readonly RouteChange[],
  { names, made }: { readonly names: RouteNames; readonly made: ReadonlySet<string> },
): Batch {
  let routes = rawRoutes(table);
  const edits: Edit[] = [];
  const results: ChangeResult[] = [];
  for (const change of changes) {
    try {
      const edit = editFor(routes, change, { names, made: made.has(keyOf(change)) });
      routes = edited(routes, edit);
      edits.push(edit);
      results.push(undefined);
    } catch (error) {
      if (!isFlannelVpcError(error)) throw error;
      edits.push({ kind: 'none' });
      results.push(error);
    }
  }
  return { edits, results, routes, keys: new Set(changes.map(keyOf)) };
}

/** The same without the last of the new routes, so that the table has no more than `limit`. */
export function fitInto(batch: Batch, limit: number, error: FlannelVpcError): Batch {
  const isNew = (edit: Edit): boolean => edit.kind === 'put' && edit.at === undefined;
  const count = batch.edits.filter(isNew).length;
  // What was refused as a whole is not sent again as a whole, whatever the limit is said to be.
  let room = Math.min(Math.max(0, limit - (batch.routes.length - count)), count - 1);
  const edits: Edit[] = [];
  const results = batch.results.map((result, index): ChangeResult => {
    const edit = batch.edits[index] ?? { kind: 'none' };
    const fits = !isNew(edit) || room-- > 0;
    edits.push(fits ? edit : { kind: 'none' });
    return fits ? result : error;
  });
  const left = new Set(batch.edits.filter((edit) => isNew(edit) && !edits.includes(edit)).flatMap(nameIn));
  const routes = batch.routes.filter((route) => !left.has(nameOf(route)));
  return { ...batch, edits, results, routes };
}

function nameIn(edit: Edit): readonly string[] {
  return edit.kind === 'none' ? [] : [edit.name.toLowerCase()];
}

export function rawRoutes({ raw }: RawTable): readonly RawObject[] {
  const routes = isRawObject(raw['properties']) ? raw['properties']['routes'] : undefined;
  return Array.isArray(routes) ? routes.filter(isRawObject) : [];
}
