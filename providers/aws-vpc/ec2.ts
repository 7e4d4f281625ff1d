/** The connection to EC2: loaded and opened at the first call, one attempt a call, every failure in our own words. */
import type { EC2Client } from '@aws-sdk/client-ec2';
import type { Clock } from '../../src/core/clock.ts';
import { withDeadline } from '../../src/core/deadline.ts';
import { untilDone } from '../../src/core/until.ts';
import { longestAnswer } from '../http-body.ts';
import { withinBounds } from '../sdk-bounds.ts';
import { guardAnswers } from './answer-guard.ts';
import { type ClientSettings, clientConfig, requestTimeoutMs } from './client-config.ts';
import { createSkewReport } from './clock-skew.ts';
import {
  type CallContext,
  isNoCredentials,
  noCredentials,
  noRegion,
  refusesCredentials,
  translateError,
} from './errors.ts';
import { readIdentity, readRoleName } from './imds.ts';
import type { Sdk } from './sdk.ts';

/** Options of `client.send`. */
interface SendOptions {
  readonly abortSignal: AbortSignal;
}

export interface Ec2Options extends ClientSettings {
  readonly clock: Clock;
}

/** Milliseconds for the metadata server to tell the Region. */
const identifyTimeoutMs = 8_000;
/** Milliseconds for a whole call that changes something, credentials and connection included: a controller's term is longer. */
export const writeTimeoutMs = 10_000;

/** A client, and the calls that it is under way with. */
interface Opened {
  readonly client: EC2Client;
  calls: number;
  /** Ends with its last call. */
  dismissed: boolean;
}

export class Ec2 {
  readonly #options: Ec2Options;
  readonly #reportSkew: (offsetMs: number) => void;
  #loading: Promise<Sdk> | undefined;
  #opening: Promise<Opened> | undefined;

  constructor(options: Ec2Options) {
    this.#options = options;
    this.#reportSkew = createSkewReport(options.logger);
  }

  /**
   * Runs one request, credentials and connection included.
   *
   * @throws FlannelVpcError as `translateError` has it; an AbortError when the signal was fired by its owner; TRANSIENT when it took too
   * long.
   */
  async call<Output>(
    context: CallContext,
    signal: AbortSignal,
    run: (client: EC2Client, sdk: Sdk, options: SendOptions) => Promise<Output>,
  ): Promise<Output> {
    // The SDK's own time-out ends with an answer's headers.
    const error = () => new DOMException(`no answer within ${requestTimeoutMs / 1_000} s`, 'TimeoutError');
    const deadline = { clock: this.#options.clock, ms: requestTimeoutMs, signal, error };
    return await withDeadline(deadline, (inner) => this.#call(context, inner, run));
  }

  async #call<Output>(
    context: CallContext,
    signal: AbortSignal,
    run: (client: EC2Client, sdk: Sdk, options: SendOptions) => Promise<Output>,
  ): Promise<Output> {
    let opened: Opened | undefined;
    try {
      signal.throwIfAborted();
      this.#loading ??= import('./sdk.ts');
      const sdk = await this.#loading;
      signal.throwIfAborted();
      this.#opening ??= this.#open(sdk, context, signal);
      opened = await untilDone(this.#opening, signal);
      opened.calls += 1;
      const { client } = opened;
      const sent = withinBounds({ maxBytes: longestAnswer }, () => run(client, sdk, { abortSignal: signal }));
      return await untilDone(sent, signal);
    } catch (error) {
      // Of credentials whose server fell silent in the middle of an answer the SDK never hears again, nor looks at a signal meanwhile.
      if (opened && (refusesCredentials(error) || isTimeout(signal))) this.#dismiss(opened);
      if (isNoCredentials(error) && !signal.aborted) throw await this.#explainNoCredentials(error, context, signal);
      throw translateError(error, context, signal);
    } finally {
      if (opened) {
        this.#reportSkew(opened.client.config.systemClockOffset);
        opened.calls -= 1;
        if (opened.dismissed && opened.calls === 0) opened.client.destroy();
      }
    }
  }

  /**
   * The SDK keeps credentials until the time that their source gave, hours from now, whatever EC2 says of them: the sessions of a role may
   * be revoked, or the instance's profile replaced. The next call begins with a client, and so with credentials, of its own.
   */
  #dismiss(opened: Opened): void {
    if (opened.dismissed) return;
    opened.dismissed = true;
    this.#opening = undefined;
  }

  /**
   * The client, in the Region that the environment or the SDK's files name. Else in this machine's own: who only works on named
   * tables has had no reason yet to ask the metadata server.
   */
  async #open(sdk: Sdk, context: CallContext, signal: AbortSignal): Promise<Opened> {
    try {
      const config = clientConfig(this.#options);
      let client = new sdk.EC2Client(config);
      const named = await this.#namedRegion(client, signal);
      if (named === '') client = new sdk.EC2Client({ ...config, region: await this.#ownRegion(context, signal) });
      guardAnswers(client);
      return { client, calls: 0, dismissed: false };
    } catch (error) {
      // The next call tries again.
      this.#opening = undefined;
      throw error;
    }
  }

  /** By the SDK: from the environment, its files, and the metadata server, of which it may never hear again. Empty when there is none. */
  async #namedRegion(client: EC2Client, signal: AbortSignal): Promise<string> {
    const error = () => new DOMException('no Region in time', 'TimeoutError');
    const deadline = { clock: this.#options.clock, ms: identifyTimeoutMs, signal, error };
    return await withDeadline(deadline, (inner) => untilDone(client.config.region(), inner)).catch(() => '');
  }

  async #ownRegion(context: CallContext, signal: AbortSignal): Promise<string> {
    const { environment, clock } = this.#options;
    const error = () => new DOMException('the metadata server does not answer', 'TimeoutError');
    try {
      const deadline = { clock, ms: identifyTimeoutMs, signal, error };
      const { region } = await withDeadline(deadline, (inner) => readIdentity({ environment }, inner));
      if (region !== undefined) return region;
    } catch (cause) {
      signal.throwIfAborted();
      throw noRegion(cause, context);
    }
    throw noRegion(undefined, context);
  }

  /**
   * Runs one request that changes something. Whether it did is not known when it is cut off after `writeTimeoutMs`.
   *
   * @throws as `call` does; TRANSIENT when it took too long.
   */
  async write<Output>(
    context: CallContext,
    signal: AbortSignal,
    run: (client: EC2Client, sdk: Sdk, options: SendOptions) => Promise<Output>,
  ): Promise<Output> {
    const error = () => new DOMException(`no answer within ${writeTimeoutMs / 1_000} s`, 'TimeoutError');
    const deadline = { clock: this.#options.clock, ms: writeTimeoutMs, signal, error };
    return await withDeadline(deadline, (inner) => this.call(context, inner, run));
  }

  /**
   * The SDK says only that no source had credentials. On an instance the difference matters: a metadata server that does not
   * answer may do so in a moment, a missing role takes a person.
   */
  async #explainNoCredentials(cause: unknown, context: CallContext, signal: AbortSignal): Promise<Error> {
    if (this.#options.environment['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') {
      return noCredentials(cause, context, 'no source has credentials, and AWS_EC2_METADATA_DISABLED hides the role');
    }
    try {
      const role = await readRoleName(this.#options, signal);
      const why = role === undefined ? 'no role is attached to this instance' : `the role ${role} gave no credentials`;
      return noCredentials(cause, context, `no source has credentials; ${why}`);
    } catch (error) {
      return translateError(error, context, signal);
    }
  }

  close(): void {
    void this.#opening?.then(
      ({ client }) => client.destroy(),
      () => {},
    );
    this.#opening = undefined;
  }
}

/** By its name: errors of Node's own come from another realm under a test runner. */
function isTimeout(signal: AbortSignal): boolean {
  return signal.aborted && (signal.reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
}
