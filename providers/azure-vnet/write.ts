/** The calls that change routes: one route by itself, or a whole table at once. */
import type { Clock } from '../../src/core/clock.ts';
import { withDeadline } from '../../src/core/deadline.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { parseCidr, sameCidr } from '../../src/core/ip.ts';
import type { ChangeResult, RouteChange } from '../provider.ts';
import { type Arm, apiVersions } from './arm.ts';
import { type Batch, fitInto, planBatch, rawRoutes } from './batch.ts';
import { contextOf, keyOf } from './change.ts';
import { type Edit, editFor, isAsWanted } from './edit.ts';
import { type CallContext, failure, ifMatch, overdue } from './errors.ts';
import { armPath, kinds } from './ids.ts';
import type { WaitOptions } from './operations.ts';
import { eventually, type PendingOperations } from './pending.ts';
import type { RawObject } from './raw-json.ts';
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
        headers: ifMatch(table.table.etag, context),
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
    const headers = isNew ? { 'if-none-match': '*' } : ifMatch(edit.etag, context);
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

function withUse(error: FlannelVpcError, { id, table }: RawTable): FlannelVpcError {
  const used = routesOf(table).length;
  const said = /(?:more than|limit of|maximum of) (\d+)/i.exec(error.message)?.[1];
  const limit = said === undefined ? Math.max(routeLimit, used) : Number(said);
  return new FlannelVpcError('QUOTA_EXCEEDED', `${error.message} (it had ${used} when just read)`, {
    hint: error.hint,
    details: { ...error.details, tableId: id, used, limit },
  });
}
