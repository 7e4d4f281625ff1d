/** The calls that change routes: one route by itself, or a whole table at once. */
import type { Clock } from '../../src/core/clock.ts';
import { withDeadline } from '../../src/core/deadline.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { formatCidr, parseCidr, sameCidr } from '../../src/core/ip.ts';
import type { ChangeResult, RouteChange } from '../provider.ts';
import { type Arm, apiVersions } from './arm.ts';
import { addressFor, type Edit, edited, editFor, isAsWanted, nameOf } from './edit.ts';
import { type CallContext, failure, overdue } from './errors.ts';
import { armPath, kinds } from './ids.ts';
import type { WaitOptions } from './operations.ts';
import { eventually, type PendingOperations } from './pending.ts';
import { isRawObject, type RawObject } from './raw-json.ts';
import { foreignController, type RouteNames, routesOf } from './routes.ts';
import { type RawTable, readTable } from './tables.ts';

/** Milliseconds for a whole change, credentials and waiting included: a controller's term is longer. */
export const writeTimeoutMs = 12_000;
/** Milliseconds for which a route that is to go, and is not there, is looked for. */
const goneMs = 2_000;
/** Milliseconds for a change that has been made to be seen by a read. */
const seenMs = 5_000;
/** Routes of a table: "Azure subscription and service limits", before it was raised; Azure's own refusal decides. */
export const routeLimit = 400;

const query = { 'api-version': apiVersions.network };

export interface RouteWriterOptions {
  readonly arm: Arm;
  readonly clock: Clock;
  readonly names: RouteNames;
  readonly pending: PendingOperations;
  /** Whether to write to a table that another controller writes as well. */
  readonly besideForeignController: boolean;
}

export class RouteWriter {
  readonly #options: RouteWriterOptions;

  constructor(options: RouteWriterOptions) {
    this.#options = options;
  }

  /**
   * Makes one change by a PUT or DELETE of one route, on condition that it is as just read.
   *
   * @throws CONFLICT when the route exists (create), does not (replace), or leads elsewhere; TRANSIENT when another write was first.
   */
  async apply(change: RouteChange, signal: AbortSignal): Promise<void> {
    const { tableId } = change;
    const context = contextOf(change);
    await this.#timed(tableId, context, signal, async (inner, wait) => {
      const ended = await this.#options.pending.settle(tableId, context, wait, inner);
      const key = keyOf(change);
      if (ended?.error && ended.changes.has(key)) throw ended.error;
      const table = await this.#read(tableId, [change], inner);
      const made = ended?.told === true && ended.changes.has(key);
      const edit = editFor(rawRoutes(table), change, { names: this.#options.names, made });
      if (edit.kind === 'none') return;
      try {
        await this.#send(tableId, edit, key, context, wait, inner);
      } catch (error) {
        throw isFlannelVpcError(error, 'QUOTA_EXCEEDED') ? withUse(error, table) : error;
      }
    });
  }

  /**
   * Makes several changes by one PUT of the whole table, as just read but for them, on condition that it still is. A table that
   * would not change is not written.
   */
  async applyBatch(
    tableId: string,
    changes: readonly RouteChange[],
    signal: AbortSignal,
  ): Promise<readonly ChangeResult[]> {
    if (changes.length === 0) return [];
    const context: CallContext = {
      action: 'Microsoft.Network/routeTables/write',
      doing: `change ${changes.length} routes of ${tableId}`,
      details: { tableId },
    };
    return await this.#timed(tableId, context, signal, async (inner, wait) => {
      const ended = await this.#options.pending.settle(tableId, context, wait, inner);
      if (ended?.error && changes.some((change) => ended.changes.has(keyOf(change)))) throw ended.error;
      const table = await this.#read(tableId, changes, inner);
      const plan = planBatch(table, changes, {
        names: this.#options.names,
        made: ended?.told ? ended.changes : new Set(),
      });
      try {
        await this.#put(table, plan, context, wait, inner);
        return plan.results;
      } catch (error) {
        if (!isFlannelVpcError(error, 'QUOTA_EXCEEDED')) throw error;
        return await this.#putWhatFits(table, plan, error, context, wait, inner);
      }
    });
  }

  /** Azure refuses a table with too many routes as a whole; the changes that fit must not suffer for those that do not. */
  async #putWhatFits(
    table: RawTable,
    plan: Batch,
    error: FlannelVpcError,
    context: CallContext,
    wait: WaitOptions,
    signal: AbortSignal,
  ): Promise<readonly ChangeResult[]> {
    const quota = withUse(error, table);
    const limit = Number(quota.details['limit']);
    const fitting = fitInto(plan, limit, quota);
    if (fitting.edits.every(({ kind }) => kind === 'none')) return fitting.results;
    await this.#put(table, fitting, context, wait, signal);
    return fitting.results;
  }

  async #put(
    table: RawTable,
    { edits, routes, keys }: Batch,
    context: CallContext,
    wait: WaitOptions,
    signal: AbortSignal,
  ): Promise<void> {
    if (edits.every(({ kind }) => kind === 'none')) return;
    const { arm, pending } = this.#options;
    const properties = table.raw['properties'] as RawObject;
    const answer = await arm.send(
      context,
      {
        method: 'PUT',
        path: pathOf(table.id),
        query,
        body: { ...table.raw, properties: { ...properties, routes } },
        headers: conditionOf(table.table.etag),
      },
      signal,
    );
    const told = await pending.finish(table.id, answer, keys, context, wait, signal);
    await this.#see(table.id, edits, told, context, wait, signal);
  }

  async #send(
    tableId: string,
    edit: Exclude<Edit, { kind: 'none' }>,
    key: string,
    context: CallContext,
    wait: WaitOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const { arm, pending } = this.#options;
    const path = `${pathOf(tableId)}/routes/${encodeURIComponent(edit.name)}`;
    const isNew = edit.kind === 'put' && edit.at === undefined;
    const headers = isNew ? { 'if-none-match': '*' } : conditionOf(edit.etag);
    const request = edit.kind === 'put' ? { method: 'PUT' as const, body: edit.route } : { method: 'DELETE' as const };
    const answer = await arm.send(context, { ...request, path, query, headers }, signal);
    const told = await pending.finish(tableId, answer, new Set([key]), context, wait, signal);
    await this.#see(tableId, [edit], told, context, wait, signal);
  }

  /** Looks whether changes stand: for a while, since reads lag, and where their end was not told, for as long as there is. */
  async #see(
    tableId: string,
    edits: readonly Edit[],
    told: boolean,
    context: CallContext,
    { until }: WaitOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const { arm, clock } = this.#options;
    const left = until - clock.monotonic();
    const areSeen = await eventually(clock, told ? Math.min(seenMs, left) : left, signal, async () => {
      const { table } = await readTable(arm, tableId, signal);
      const byName = new Map(routesOf(table).map((route) => [route.name.toLowerCase(), route]));
      return edits.every((edit) => edit.kind === 'none' || isAsWanted(byName.get(edit.name.toLowerCase()), edit));
    });
    if (areSeen) return;
    if (!told) throw overdue(context, 2_000);
    throw failure('CONFLICT', context, 'it was done, and is not there', { hint: 'it is read again' });
  }

  /**
   * The table. Reads may show the state of some seconds ago: what is to go is not believed to be gone already at the first look, since
   * no write would find that out.
   *
   * @throws INVALID for a table that another controller writes, unless that was allowed.
   */
  async #read(tableId: string, changes: readonly RouteChange[], signal: AbortSignal): Promise<RawTable> {
    const { arm, clock } = this.#options;
    let table = await readTable(arm, tableId, signal);
    await eventually(clock, goneMs, signal, async () => {
      if (!changes.some((change) => change.action === 'delete' && !standsIn(table, change))) return true;
      table = await readTable(arm, tableId, signal);
      return false;
    });
    const sign = this.#options.besideForeignController ? undefined : foreignController(table.table);
    if (sign === undefined) return table;
    throw new FlannelVpcError('INVALID', `the route table ${tableId} is written by the Azure cloud provider: ${sign}`, {
      hint: 'switch its route controller off (--configure-cloud-routes=false) or give the subnet another table; "ForeignController": true in net-conf writes to it all the same',
      details: { tableId },
    });
  }

  async #timed<T>(
    tableId: string,
    context: CallContext,
    signal: AbortSignal,
    run: (signal: AbortSignal, wait: WaitOptions) => Promise<T>,
  ): Promise<T> {
    const { clock, pending } = this.#options;
    const error = () => new DOMException(`not done within ${writeTimeoutMs / 1_000} s`, 'TimeoutError');
    const wait = { clock, until: clock.monotonic() + writeTimeoutMs };
    return await withDeadline({ clock, ms: writeTimeoutMs, signal, error }, async (inner) => {
      try {
        return await run(inner, wait);
      } catch (caught) {
        throw pending.explain(tableId, caught, context, inner);
      }
    });
  }
}

/** A table's changes, worked out: one edit and one result for each, in their order, and the routes after them. */
interface Batch {
  readonly edits: readonly Edit[];
  readonly results: readonly ChangeResult[];
  readonly routes: readonly RawObject[];
  readonly keys: ReadonlySet<string>;
}

function planBatch(
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
function fitInto(batch: Batch, limit: number, error: FlannelVpcError): Batch {
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

function rawRoutes({ raw }: RawTable): readonly RawObject[] {
  const routes = isRawObject(raw['properties']) ? raw['properties']['routes'] : undefined;
  return Array.isArray(routes) ? routes.filter(isRawObject) : [];
}

function standsIn({ table }: RawTable, { destination }: RouteChange): boolean {
  return routesOf(table).some(({ properties }) => {
    const prefix = parseCidr(properties.addressPrefix);
    return prefix !== undefined && sameCidr(prefix, destination);
  });
}

function pathOf(tableId: string): string {
  const path = armPath(tableId, kinds.table);
  if (path) return path;
  throw new FlannelVpcError('INVALID', `${JSON.stringify(tableId)} is no id of a route table`);
}

function conditionOf(etag: string | undefined): Readonly<Record<string, string>> {
  return etag === undefined ? {} : { 'if-match': etag };
}

/** What makes two changes the same. */
function keyOf(change: RouteChange): string {
  const { action, destination } = change;
  const target = action === 'delete' ? change.expected.id : addressFor(change.nextHop, destination);
  return `${action} ${formatCidr(destination)} ${target}`;
}

function contextOf(change: RouteChange): CallContext {
  const { action, tableId, destination } = change;
  const text = formatCidr(destination);
  const details = { tableId, destination: text };
  const write = 'Microsoft.Network/routeTables/routes/write';
  switch (action) {
    case 'create': {
      const address = addressFor(change.nextHop, destination);
      return { action: write, doing: `create the route ${text} via ${address} in ${tableId}`, details };
    }
    case 'replace': {
      const address = addressFor(change.nextHop, destination);
      return { action: write, doing: `point the route ${text} in ${tableId} at ${address}`, details };
    }
    case 'delete': {
      const remove = 'Microsoft.Network/routeTables/routes/delete';
      return { action: remove, doing: `delete the route ${text} from ${tableId}`, details };
    }
  }
}

function withUse(error: FlannelVpcError, { id, table }: RawTable): FlannelVpcError {
  const used = routesOf(table).length;
  const said = /(?:more than|limit of|maximum of) (\d+)/i.exec(error.message)?.[1];
  const limit = said === undefined ? Math.max(routeLimit, used) : Number(said);
  return new FlannelVpcError('QUOTA_EXCEEDED', `${error.message} (it had ${used} when just read)`, {
    hint: error.hint,
    details: { ...error.details, tableId: id, used, limit },
  });
}
