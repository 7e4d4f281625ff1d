/** The connection to EC2: loaded and opened at the first call, one attempt a call, every failure in our own words. */
import type { EC2Client, EC2ClientConfig } from '@aws-sdk/client-ec2';
import type { Clock } from '../../src/core/clock.ts';
import { withDeadline } from '../../src/core/deadline.ts';
import type { Logger } from '../../src/core/log.ts';
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

export interface Ec2Options {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Region of this machine where the metadata server has told it already. */
  region(): string | undefined;
}

/** Milliseconds to open a connection to EC2. */
const connectionTimeoutMs = 5_000;
/** Milliseconds for the metadata server to tell the Region. */
const identifyTimeoutMs = 8_000;
/** Milliseconds for one whole answer. A read of many full tables takes a few seconds. */
const requestTimeoutMs = 30_000;
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
   * Runs one request.
   *
   * @throws FlannelVpcError as `translateError` has it; an AbortError when the signal was fired by its owner.
   */
  async call<Output>(
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
      opened = await this.#opening;
      opened.calls += 1;
      return await run(opened.client, sdk, { abortSignal: signal });
    } catch (error) {
      if (opened && refusesCredentials(error)) this.#dismiss(opened);
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
      const named = await client.config.region().catch(() => '');
      if (named === '') client = new sdk.EC2Client({ ...config, region: await this.#ownRegion(context, signal) });
      return { client, calls: 0, dismissed: false };
    } catch (error) {
      // The next call tries again.
      this.#opening = undefined;
      throw error;
    }
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

/** What the client is made with. Where nothing is said here, the SDK's own chain of environment, files and metadata decides. */
export function clientConfig({ environment, logger, region }: Ec2Options): EC2ClientConfig {
  const chosenRegion = environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || region();
  const endpoint = configuredEndpoint(environment);
  const credentials = environmentCredentials(environment);
  return {
    ...(chosenRegion ? { region: chosenRegion } : {}),
    ...(endpoint ? { endpoint } : {}),
    ...(credentials ? { credentials } : {}),
    // One layer retries, in providers/budget.ts; two would multiply.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // Without it the SDK prints a warning and goes on waiting.
      throwOnRequestTimeout: true,
    },
    customUserAgent: 'flannel-vpc',
    logger: sdkLogger(logger),
  };
}

/** Without `info`: its lines hold whole requests and answers, and the SDK, which looks whether it is there, copies them for it. */
function sdkLogger(logger: Logger): NonNullable<EC2ClientConfig['logger']> {
  const quiet: Omit<NonNullable<EC2ClientConfig['logger']>, 'info'> = {
    debug() {},
    warn: (...parts: unknown[]) => logger.warn('the AWS SDK warns', { text: sdkText(parts) }),
    // Every failed call ends in an error of ours, which is told where it matters; aborted ones are none.
    error: (...parts: unknown[]) => logger.debug('the AWS SDK reports an error', { text: sdkText(parts) }),
  };
  return quiet as NonNullable<EC2ClientConfig['logger']>;
}

/** The SDK's texts alone: its objects hold whole requests. */
function sdkText(parts: readonly unknown[]): string {
  return parts
    .flatMap((part) => (typeof part === 'string' ? part : part instanceof Error ? part.message : []))
    .join(' ');
}

function configuredEndpoint(environment: Ec2Options['environment']): string | undefined {
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') return undefined;
  return environment['AWS_ENDPOINT_URL_EC2'] || environment['AWS_ENDPOINT_URL'];
}

/** Keys of the environment, taken without the SDK's chain; a profile goes first, as it does there. */
function environmentCredentials(environment: Ec2Options['environment']): EC2ClientConfig['credentials'] {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'];
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  if (environment['AWS_PROFILE'] || !accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
