/**
 * Many changes of one table: deletions and creations by the calls for fifty, moves one by one, since there is no call for many. Each
 * kind waits for the one before, because a VPC takes one write at a time.
 */
import { type FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { formatCidr, parseCidr } from '../../src/core/ip.ts';
import type { ChangeResult, RouteChange } from '../provider.ts';
import { type Entry, writtenMany } from './answers.ts';
import type { AlibabaApi, ApiParameters } from './api.ts';
import { hopOf, isFor } from './entries.ts';
import { isNoEntry } from './error-codes.ts';
import { codeError } from './errors.ts';
import { conflict, standingOf, unsettled } from './judge.ts';
import { markDescription, markName } from './mark.ts';
import { settle, type UnderWay } from './settle.ts';
import { contextOf, track, type WriteOptions, writeRoute } from './write.ts';

export interface BatchOptions extends WriteOptions {
  /** All entries of the table as they were just read. */
  readonly entries: readonly Entry[];
}

/** Makes the changes as far as the signal lets it. The result is aligned with them. @throws what struck them all; an AbortError. */
export async function writeBatch(
  api: AlibabaApi,
  tableId: string,
  changes: readonly RouteChange[],
  options: BatchOptions,
): Promise<readonly ChangeResult[]> {
  const batch = new Batch(api, tableId, options);
  try {
    await batch.run(changes);
  } catch (error) {
    // Whoever has nothing done yet and the same trouble everywhere is better off with one error, which is tried again as a whole.
    if (!isFlannelVpcError(error) || batch.results.size === 0) throw error;
    batch.failRest(changes, error);
  }
  return changes.map((change) => batch.results.get(change));
}

class Batch {
  /** What became of those that are through. */
  readonly results = new Map<RouteChange, ChangeResult>();
  readonly #api: AlibabaApi;
  readonly #tableId: string;
  readonly #options: BatchOptions;

  constructor(api: AlibabaApi, tableId: string, options: BatchOptions) {
    this.#api = api;
    this.#tableId = tableId;
    this.#options = options;
  }

  async run(changes: readonly RouteChange[]): Promise<void> {
    const ready: UnderWay[] = [];
    const underWay: UnderWay[] = [];
    for (const change of changes) this.#sort(change, ready, underWay);
    await this.#settle(underWay);
    const of = (action: RouteChange['action']) => ready.filter(({ change }) => change.action === action);
    await this.#sendMany('vpc:DeleteRouteEntries', of('delete'));
    await this.#sendMany('vpc:CreateRouteEntries', of('create'));
    for (const { change } of of('replace')) await this.#writeOne(change);
  }

  /** All that have no result yet did not get their turn. */
  failRest(changes: readonly RouteChange[], error: FlannelVpcError): void {
    for (const change of changes) if (!this.results.has(change)) this.results.set(change, error);
  }

  /** Decides by what stands whether a change is done, refused, under way from before, or to be sent. */
  #sort(change: RouteChange, ready: UnderWay[], underWay: UnderWay[]): void {
    const { entries, intents } = this.#options;
    const intent = intents.of(change);
    const entry = entries.find((each) => isFor(each, change.destination));
    const standing = standingOf(change, entry);
    const wasSent = intent.sent !== 'no';
    if (intent.sent === 'yes' || (wasSent && standing === 'unsettled')) underWay.push({ change, intent });
    // What a read does not show may still be there: a deletion is sent all the same.
    else if (standing === 'ready' || (standing === 'done' && change.action === 'delete'))
      ready.push({ change, intent });
    else if (standing === 'done' && (wasSent || change.action === 'replace')) this.#finish(change, undefined);
    else this.#finish(change, standing === 'unsettled' ? unsettled(change, entry) : conflict(change, entry));
  }

  /** Sends all of one kind in one request, and waits until those that the cloud took on are done. */
  async #sendMany(
    action: 'vpc:CreateRouteEntries' | 'vpc:DeleteRouteEntries',
    items: readonly UnderWay[],
  ): Promise<void> {
    if (items.length === 0) return;
    const { signal } = this.#options;
    const verb = action === 'vpc:CreateRouteEntries' ? 'create' : 'delete';
    const context = {
      action,
      doing: `${verb} ${items.length} routes in ${this.#tableId}`,
      details: { tableId: this.#tableId },
    };
    const wereSent = new Set(items.filter(({ intent }) => intent.sent === 'maybe'));
    const parameters = Object.assign(
      {},
      ...items.map((item, index) => this.#parametersOf(item, index + 1)),
    ) as ApiParameters;
    const intents = items.map(({ intent }) => intent);
    const sending = track(
      this.#api,
      intents,
      async () => await this.#api.call(context, signal, { parameters, answer: writtenMany, asForm: true }),
    );
    const answer = await sending.catch((error: unknown) => {
      if (isForOne(error)) return error;
      throw error;
    });
    if (isFlannelVpcError(answer)) {
      await this.#oneByOne(items, answer);
      return;
    }
    const { FailedRouteEntries: failures } = answer;
    const left: UnderWay[] = [];
    for (const item of items) {
      const failure = failures.find((each) => isOf(each, item.change));
      const error = failure && failureOf(failure, item.change, action);
      // Gone already, or there already because an earlier sending got through after all.
      const isNoTrouble =
        error !== undefined &&
        (item.change.action === 'delete'
          ? isNoEntry(error.details['cloudCode'])
          : wereSent.has(item) && error.code === 'CONFLICT');
      if (error === undefined || isNoTrouble) left.push(item);
      else this.#finish(item.change, error);
    }
    await this.#settle(left);
  }

  /** What the cloud refuses as a whole for the sake of one. Where it is all of them, the first few say so for the rest. */
  async #oneByOne(items: readonly UnderWay[], refusal: FlannelVpcError): Promise<void> {
    let refused = 0;
    for (const { change } of items) {
      if (refused >= mostRefused) this.#finish(change, refusal);
      else await this.#writeOne(change);
      if (this.results.get(change) !== undefined) refused += 1;
    }
  }

  async #writeOne(change: RouteChange): Promise<void> {
    try {
      await writeRoute(this.#api, change, this.#options);
      this.results.set(change, undefined);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      if (!isFlannelVpcError(error)) throw error;
      this.results.set(change, error);
    }
  }

  async #settle(items: readonly UnderWay[]): Promise<void> {
    await settle(this.#api, this.#tableId, items, {
      signal: this.#options.signal,
      onDone: ({ change }) => this.#finish(change, undefined),
      onLost: ({ change }, error) => this.#finish(change, error),
    });
  }

  #finish(change: RouteChange, result: ChangeResult): void {
    this.results.set(change, result);
    this.#options.intents.forget(change);
  }

  #parametersOf({ change }: UnderWay, number: number): ApiParameters {
    const { destination } = change;
    const fields: Record<string, string> = { RouteTableId: this.#tableId, DstCidrBlock: formatCidr(destination) };
    if (change.action === 'delete') fields['NextHop'] = change.expected.id;
    else {
      const { type, id } = hopOf(change.nextHop, destination);
      fields['NextHop'] = id;
      fields['NextHopType'] = type;
      fields['IpVersion'] = String(destination.family);
      fields['Name'] = markName;
      fields['Description'] = markDescription(destination, this.#options.networks);
    }
    return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`RouteEntries.${number}.${name}`, value]));
  }
}

/** Refusals of single changes after which the others of a refused batch are not tried. */
const mostRefused = 3;

/** Whether the request was refused for what it asked, which may be the fault of one of many. */
function isForOne(error: unknown): error is FlannelVpcError {
  return isFlannelVpcError(error) && ['CONFLICT', 'NOT_FOUND', 'INVALID'].includes(error.code);
}

/** By destination and next hop: one node may have several. */
function isOf(
  { DstCidrBlock, NextHop }: { readonly DstCidrBlock: string | undefined; readonly NextHop: string | undefined },
  change: RouteChange,
): boolean {
  const failed = parseCidr(DstCidrBlock ?? '');
  const hop = change.action === 'delete' ? change.expected.id : hopOf(change.nextHop, change.destination).id;
  return (
    failed !== undefined &&
    formatCidr(failed) === formatCidr(change.destination) &&
    (NextHop === undefined || NextHop === hop)
  );
}

function failureOf(
  {
    FailedCode,
    FailedMessage,
  }: { readonly FailedCode: string | undefined; readonly FailedMessage: string | undefined },
  change: RouteChange,
  action: string,
): FlannelVpcError {
  return codeError(FailedCode ?? 'UnknownError', FailedMessage ?? '', { ...contextOf(change), action });
}
