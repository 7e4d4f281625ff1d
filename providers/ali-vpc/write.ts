/** The calls that change something: one route entry, and the source/dest check of a NIC. */
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, formatCidr } from '../../src/core/ip.ts';
import type { NextHop, RouteChange } from '../provider.ts';
import { acknowledged, type Entry } from './answers.ts';
import type { AlibabaApi, ApiParameters } from './api.ts';
import { hopOf, readEntry } from './entries.ts';
import { isNoEntry } from './error-codes.ts';
import type { CallContext } from './errors.ts';
import type { Intent, Intents } from './intents.ts';
import { actionNames, conflict, standingOf, unsettled } from './judge.ts';
import { markDescription, markName } from './mark.ts';
import { settle } from './settle.ts';

/** What writes need besides the change. */
export interface WriteOptions {
  readonly intents: Intents;
  /** The pod networks, for our mark. */
  readonly networks: readonly Cidr[];
  readonly signal: AbortSignal;
}

/**
 * Makes one change and waits until the cloud has made it. Where one was sent before and not seen done, that one is waited for.
 *
 * @throws CONFLICT when what stands is not what was expected; TRANSIENT when the entry or its VPC is in the middle of another change.
 */
export async function writeRoute(api: AlibabaApi, change: RouteChange, options: WriteOptions): Promise<void> {
  const { intents, signal } = options;
  const intent = intents.of(change);
  try {
    const isUnderWay = intent.sent === 'yes' || (await start(api, change, intent, options));
    if (isUnderWay) {
      await settle(api, change.tableId, [{ change, intent }], {
        signal,
        onDone() {},
        onLost(_, error) {
          intents.forget(change);
          throw error;
        },
      });
    }
    intents.forget(change);
  } catch (error) {
    // What passes by itself is asked for again; everything else is the caller's to plan anew.
    if (isFlannelVpcError(error) && error.retry !== 'backoff') intents.forget(change);
    throw error;
  }
}

/** Sends the change, if it has to be. @returns whether there is something to wait for. */
async function start(api: AlibabaApi, change: RouteChange, intent: Intent, options: WriteOptions): Promise<boolean> {
  const { signal } = options;
  const wasSent = intent.sent === 'maybe';
  // A creation of which nothing was sent needs no look: the cloud refuses a destination that is taken.
  const entry =
    change.action === 'create' && !wasSent
      ? undefined
      : await readEntry(api, change.tableId, change.destination, signal);
  switch (standingOf(change, entry)) {
    case 'done':
      if (change.action === 'create' && !wasSent) throw conflict(change, entry);
      // A read may be from before the entry was there. The deletion itself knows.
      return change.action === 'delete' ? await send(api, change, entry, intent, options) : false;
    case 'unsettled':
      if (wasSent) return true;
      throw unsettled(change, entry);
    case 'other':
      throw conflict(change, entry);
    case 'ready':
      return await send(api, change, entry, intent, options);
  }
}

async function send(
  api: AlibabaApi,
  change: RouteChange,
  entry: Entry | undefined,
  intent: Intent,
  { networks, signal }: WriteOptions,
): Promise<boolean> {
  const wasSent = intent.sent === 'maybe';
  const parameters = parametersOf(change, entry, intent, networks);
  try {
    await track(api, [intent], async () => {
      await api.call(contextOf(change), signal, { parameters, answer: acknowledged });
    });
    return true;
  } catch (error) {
    // The first one got through after all, and reads are late.
    if (change.action === 'create' && wasSent && isFlannelVpcError(error, 'CONFLICT')) {
      intent.sent = 'yes';
      return true;
    }
    if (!isFlannelVpcError(error, 'NOT_FOUND') || !isNoEntry(error.details['cloudCode'])) throw error;
    const now = await readEntry(api, change.tableId, change.destination, signal);
    if (change.action === 'delete' && now === undefined) return false;
    throw conflict(change, now);
  }
}

/** Runs a request that sends intents, and keeps what is known of them: a clear refusal leaves them as they were. */
export async function track<T>(api: AlibabaApi, intents: readonly Intent[], run: () => Promise<T>): Promise<T> {
  const before = intents.map(({ sent }) => sent);
  const set = (sent: Intent['sent'] | undefined): void => {
    for (const [index, intent] of intents.entries()) {
      intent.sent = sent ?? before[index] ?? 'maybe';
      intent.at = api.clock.monotonic();
    }
  };
  set('maybe');
  try {
    const value = await run();
    set('yes');
    return value;
  } catch (error) {
    const status = isFlannelVpcError(error) ? error.details['status'] : undefined;
    if (typeof status === 'number' && status >= 400 && status < 500) set(undefined);
    throw error;
  }
}

function parametersOf(
  change: RouteChange,
  entry: Entry | undefined,
  { token }: Intent,
  networks: readonly Cidr[],
): ApiParameters {
  const { tableId, destination } = change;
  const key = { RouteTableId: tableId, DestinationCidrBlock: formatCidr(destination) };
  const mark = { RouteEntryName: markName, Description: markDescription(destination, networks) };
  switch (change.action) {
    case 'create': {
      const { type, id } = hopOf(change.nextHop, destination);
      return { ...key, NextHopType: type, NextHopId: id, ...mark, ClientToken: token };
    }
    case 'replace': {
      const { type, id } = hopOf(change.nextHop, destination);
      return { RouteEntryId: entry?.RouteEntryId ?? '', NewNextHopType: type, NewNextHopId: id, ...mark };
    }
    case 'delete':
      // Here the next hop is a condition.
      return { ...key, NextHopId: change.expected.id };
  }
}

/** What is being done, for messages about the change. */
export function contextOf(change: RouteChange): CallContext {
  const { action, tableId, destination } = change;
  const text = formatCidr(destination);
  const doing =
    action === 'delete'
      ? `delete the route ${text} from ${tableId}`
      : action === 'create'
        ? `create the route ${text} via ${hopOf(change.nextHop, destination).id} in ${tableId}`
        : `point the route ${text} in ${tableId} at ${hopOf(change.nextHop, destination).id}`;
  return { action: actionNames[action], doing, details: { tableId, destination: text } };
}

/** The error of a change that is not done when its time is up: it goes on, and who asks again waits for it. */
export function notDone(tableId: string, ms: number): FlannelVpcError {
  return new FlannelVpcError(
    'TRANSIENT',
    `Alibaba Cloud has not finished a change of ${tableId} within ${ms / 1_000} s`,
    {
      retryAfterMs: 1_000,
      hint: 'the change goes on, and is waited for by itself; if it goes on for minutes, see the status of the VPC and its entries',
      details: { tableId },
    },
  );
}

/** Lets the NIC forward what is not its own. Only some regions have the check; it is off by default. */
export async function disableSourceDestCheck(api: AlibabaApi, { nicId }: NextHop, signal: AbortSignal): Promise<void> {
  const context = {
    action: 'ecs:ModifyNetworkInterfaceAttribute',
    doing: `switch off the source/dest check of ${nicId}`,
    details: { nicId },
  };
  const parameters = { NetworkInterfaceId: nicId, SourceDestCheck: 'false' };
  await api.call(context, signal, { parameters, answer: acknowledged });
}
