/** The connection to ARM: loaded and opened at the first call, one attempt a call, bodies as they came, failures in our own words. */
import type { Clock } from '../../src/core/clock.ts';
import { withDeadline } from '../../src/core/deadline.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { untilDone } from '../../src/core/until.ts';
import { PageTrail } from '../page-trail.ts';
import { type ArmClient, connect } from './connect.ts';
import { type Credential, createCredential, credentialKind } from './credentials.ts';
import { type AzureCloud, cloudOfEnvironment, cloudOfMachine, type Environment } from './environment.ts';
import { type CallContext, refusalError, translateError, unreadable } from './errors.ts';
import { type AzureMachine, readMachine } from './metadata.ts';
import { parseRaw } from './raw-json.ts';
import type { Sdk } from './sdk.ts';

export interface ArmOptions {
  readonly environment: Environment;
  readonly clock: Clock;
  /** This machine, where the metadata server has told it already. */
  machine(): AzureMachine | undefined;
}

/** One request. */
export interface ArmRequest {
  /** GET when absent. */
  readonly method?: 'GET' | 'PUT' | 'DELETE' | undefined;
  /** From the root: `/subscriptions/…`, or with a query of its own, as links in answers are. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** JSON values, and what `parseRaw` made. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface ArmAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** As `parseRaw` has it; undefined where there was none. */
  readonly body: unknown;
}

/**
 * Versions of the interfaces: the network's own is the one that the SDK's typed operations send; NICs of scale sets have an older one,
 * which is theirs in the SDK too; virtual machines are not in that SDK.
 */
export const apiVersions = {
  network: '2026-01-01',
  memberNics: '2018-10-01',
  compute: '2024-07-01',
  permissions: '2022-04-01',
} as const;

/** Milliseconds for one whole answer. A list of thousands of NICs takes a few seconds. */
const requestTimeoutMs = 30_000;
/** Milliseconds for the metadata server to tell which cloud this is. */
const identifyTimeoutMs = 8_000;
/** Milliseconds for which a metadata server that is not there is not asked again: elsewhere than in Azure each try takes seconds. */
const noMachineMs = 60_000;

export class Arm {
  readonly #options: ArmOptions;
  #loading: Promise<Sdk> | undefined;
  #opening: Promise<ArmClient> | undefined;
  #credential: Credential | undefined;
  #machine: AzureMachine | undefined;
  #noMachine: { readonly error: FlannelVpcError; readonly until: number } | undefined;

  constructor(options: ArmOptions) {
    this.#options = options;
  }

  /**
   * Sends one request and gives its answer, whatever its status is below 300: ARM sends nobody elsewhere.
   *
   * @throws FlannelVpcError as `refusalError` and `translateError` have it; an AbortError when the signal was fired by its owner.
   */
  async send(context: CallContext, request: ArmRequest, signal: AbortSignal): Promise<ArmAnswer> {
    const answer = await this.exchange(context, request, signal);
    if (answer.status >= 300) throw refusalError(answer, context);
    // What was made or changed is always shown; 202 alone says no more than that it will be.
    const isShown = request.method !== 'PUT' || answer.status === 202 || answer.body !== undefined;
    if (!isShown) throw unreadable(context);
    return answer;
  }

  /** The same; undefined where ARM says that there is no such thing. */
  async find(context: CallContext, request: ArmRequest, signal: AbortSignal): Promise<ArmAnswer | undefined> {
    const answer = await this.exchange(context, request, signal);
    if (answer.status < 300) return answer;
    const error = refusalError(answer, context);
    const code = error.details['azureCode'];
    // A subscription that is not there is a mistake, not an absence; and what has no code is not ARM's word.
    if (error.code === 'NOT_FOUND' && code !== undefined && code !== 'SubscriptionNotFound') return undefined;
    throw error;
  }

  /** Everything in the `value`s of all pages; one request a page, one after the other. */
  async list(context: CallContext, request: ArmRequest, signal: AbortSignal): Promise<readonly unknown[]> {
    return await this.#pages(context, await this.send(context, request, signal), signal);
  }

  /** The same; nothing where ARM says that there is no such thing. */
  async listIfThere(context: CallContext, request: ArmRequest, signal: AbortSignal): Promise<readonly unknown[]> {
    const first = await this.find(context, request, signal);
    return first ? await this.#pages(context, first, signal) : [];
  }

  async #pages(context: CallContext, first: ArmAnswer, signal: AbortSignal): Promise<readonly unknown[]> {
    const pages: (readonly unknown[])[] = [];
    const trail = new PageTrail();
    for (let answer = first; ; ) {
      const { body } = answer;
      const { value, nextLink } = (body ?? {}) as { readonly value?: unknown; readonly nextLink?: unknown };
      if (!Array.isArray(value)) throw unreadable(context);
      pages.push(value);
      if (typeof nextLink !== 'string' || nextLink === '') return pages.flat();
      if (!trail.goesOnTo(nextLink)) throw unreadable(context);
      answer = await this.send(context, { path: pathOfLink(nextLink) }, signal);
    }
  }

  /**
   * This machine, by which names without a subscription or a resource group are completed.
   *
   * @throws CONFIG_INVALID where it is no machine of Azure's.
   */
  async machine(signal: AbortSignal): Promise<AzureMachine> {
    this.#machine ??= this.#options.machine();
    if (this.#machine) return this.#machine;
    const { environment, clock } = this.#options;
    if (this.#noMachine && clock.monotonic() < this.#noMachine.until) throw this.#noMachine.error;
    const error = () => new DOMException('the metadata server does not answer', 'TimeoutError');
    try {
      const deadline = { clock, ms: identifyTimeoutMs, signal, error };
      this.#machine = await withDeadline(deadline, (inner) => readMachine(environment, inner));
      return this.#machine;
    } catch (cause) {
      signal.throwIfAborted();
      if (isFlannelVpcError(cause, 'CONFIG_INVALID')) throw cause;
      const why = 'this is no machine of Azure’s, so its subscription is not known';
      const hint = 'name the tables in net-conf as SUBSCRIPTION/GROUP/NAME, or run this on a node';
      const none = new FlannelVpcError('CONFIG_INVALID', why, { hint, cause });
      this.#noMachine = { error: none, until: clock.monotonic() + noMachineMs };
      throw none;
    }
  }

  /** One request, whatever comes back. */
  async exchange(context: CallContext, request: ArmRequest, signal: AbortSignal): Promise<ArmAnswer> {
    const { clock } = this.#options;
    // The SDK's own time-out ends with the headers, and leaves a timer behind where a request fails.
    const error = () => new DOMException(`no answer within ${requestTimeoutMs / 1_000} s`, 'TimeoutError');
    return await withDeadline({ clock, ms: requestTimeoutMs, signal, error }, async (inner) => {
      try {
        inner.throwIfAborted();
        this.#loading ??= import('./sdk.ts');
        const sdk = await this.#loading;
        inner.throwIfAborted();
        this.#opening ??= this.#open(sdk, inner);
        const client = await untilDone(this.#opening, inner);
        return await untilDone(transfer(client, request, inner), inner);
      } catch (caught) {
        throw translateError(caught, context, inner);
      }
    });
  }

  close(): void {
    this.#credential?.close();
    this.#credential = undefined;
    this.#opening = undefined;
  }

  async #open(sdk: Sdk, signal: AbortSignal): Promise<ArmClient> {
    try {
      const { endpoint, scope } = await this.#cloud(signal);
      this.#credential = createCredential(sdk, this.#options.environment);
      return connect(sdk, this.#credential, endpoint, scope);
    } catch (error) {
      // The next call tries again.
      this.#opening = undefined;
      throw error;
    }
  }

  /** A machine with an identity of its own is in the cloud that its metadata server names. */
  async #cloud(signal: AbortSignal): Promise<AzureCloud> {
    const { environment } = this.#options;
    const said = cloudOfEnvironment(environment);
    if (said || credentialKind(environment) !== 'managed-identity') return said ?? cloudOfMachine(undefined);
    return cloudOfMachine((await this.machine(signal)).azEnvironment);
  }
}

async function transfer(client: ArmClient, request: ArmRequest, signal: AbortSignal): Promise<ArmAnswer> {
  const { method = 'GET', path, query, body, headers } = request;
  let text = '';
  const options = {
    abortSignal: signal,
    headers: { accept: 'application/json', ...headers },
    ...(query ? { queryParameters: query } : {}),
    ...(body === undefined ? {} : { body, contentType: 'application/json' }),
    // The body as text: the SDK's own reading of it loses digits.
    onResponse: (response: { readonly bodyAsText?: string | null }) => {
      text = response.bodyAsText ?? '';
    },
  };
  const resource = client.pathUnchecked(path);
  const verbs = { GET: resource.get, PUT: resource.put, DELETE: resource.delete };
  const answer = await verbs[method](options);
  const status = Number(answer.status);
  return { status, headers: answer.headers, body: bodyOf(text, status) };
}

/** What is no JSON is no refusal of ARM's either, and no news where the status says all. */
function bodyOf(text: string, status: number): unknown {
  if (text === '') return undefined;
  try {
    return parseRaw(text);
  } catch {
    if (status >= 400) return undefined;
    throw new SyntaxError('the answer is no JSON');
  }
}

/** One after the other: when one fails, none of the others is left under way. */
export async function inTurn<Item, Result>(
  items: Iterable<Item>,
  read: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const item of items) results.push(await read(item));
  return results;
}

/** The path of a link in an answer. Its host is not followed: tokens go to the endpoint alone. */
export function pathOfLink(link: string): string {
  const url = URL.parse(link, 'https://management.azure.com');
  return url ? `${url.pathname}${url.search}` : '/';
}
