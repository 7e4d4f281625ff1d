/** The connection to the APIs: loaded and opened at the first call, one attempt a call, every failure in our own words. */
import * as z from 'zod';
import type { Clock } from '../../src/core/clock.ts';
import { withDeadline } from '../../src/core/deadline.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { untilDone } from '../../src/core/until.ts';
import { longestAnswer } from '../http-body.ts';
import { withinBounds } from '../sdk-bounds.ts';
import type { AliVpcConfig } from './config.ts';
import {
  type CredentialReader,
  type CredentialSource,
  type Credentials,
  credentialReader,
  credentialSource,
} from './credentials.ts';
import { apiVersions, endpointOf, type Product } from './endpoints.ts';
import { type CallContext, NoCredentials, translateError, unreadable } from './errors.ts';
import { readIdentity } from './metadata.ts';
import type { Sdk } from './sdk.ts';

export interface ApiOptions {
  readonly config: AliVpcConfig;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Region of this machine where the metadata server has told it already. */
  region(): string | undefined;
}

/** Parameters of an operation, flat and in the API's own spelling, such as `RouteEntries.1.NextHop`. */
export type ApiParameters = Readonly<Record<string, string>>;

export interface ApiRequest<Answer> {
  readonly parameters: ApiParameters;
  readonly answer: z.ZodType<Answer>;
  /** Sends them as a form: the ones of fifty entries are longer than an address may be. */
  readonly asForm?: boolean | undefined;
}

/** Milliseconds to open a connection. */
const connectTimeoutMs = 5_000;
/** Milliseconds for the metadata server to tell the region. */
const identifyTimeoutMs = 8_000;
/** Milliseconds for one whole answer. */
const readTimeoutMs = 30_000;

const requestId = z.object({ RequestId: z.string().min(1) });

interface Opened {
  readonly sdk: Sdk;
  readonly region: string;
  readonly source: CredentialSource;
  readonly reader: CredentialReader;
}

export class AlibabaApi {
  readonly #options: ApiOptions;
  #opening: Promise<Opened> | undefined;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** What is known of the region before anything was asked; for messages. */
  get region(): string | undefined {
    return this.#knownRegion();
  }

  /**
   * Runs one request. What is on the wire when the signal fires may still take effect, but nothing is sent after it.
   *
   * @throws FlannelVpcError as `translateError` has it; an AbortError when the signal was fired by its owner.
   */
  async call<Answer>(context: CallContext, signal: AbortSignal, request: ApiRequest<Answer>): Promise<Answer> {
    const secrets: string[] = [];
    try {
      signal.throwIfAborted();
      const opened = await untilDone(this.#open(context, signal), signal);
      // The SDK knows no signal, and takes an answer of any length.
      const sent = withinBounds({ maxBytes: longestAnswer, signal }, () =>
        this.#send(opened, context, signal, request, secrets),
      );
      const body = await untilDone(sent, signal);
      // Every answer has one. What has none is somebody else's, and would be a list without members.
      if (!requestId.safeParse(body).success) throw unreadable(context, 'it has no RequestId');
      const parsed = request.answer.safeParse(body);
      if (parsed.success) return parsed.data;
      throw unreadable(context, parsed.error.issues[0]?.path.map(String).join('.') ?? '');
    } catch (error) {
      throw translateError(error, context, signal, secrets);
    }
  }

  /** Forgets the credentials and the SDK. */
  close(): void {
    this.#opening = undefined;
  }

  async #send<Answer>(
    { sdk, region, source, reader }: Opened,
    { action }: CallContext,
    signal: AbortSignal,
    { parameters, asForm }: ApiRequest<Answer>,
    secrets: string[],
  ): Promise<unknown> {
    const { config, environment } = this.#options;
    const [product, operation] = action.split(':') as [Product, string];
    const { host, protocol } = endpointOf(product, region, config.endpointType ?? 'public', environment);
    // The SDK asks for credentials right before it signs and sends, without another wait in between.
    const getCredential = async (): Promise<Credentials> => {
      // Others may be waiting for the same ones.
      const found = await withinBounds({ maxBytes: longestAnswer }, () => readCredentials(source, reader));
      secrets.push(
        ...[found.accessKeyId, found.accessKeySecret, found.securityToken].filter((text) => text !== undefined),
      );
      signal.throwIfAborted();
      return found;
    };
    // A client is no more than these settings; connections are shared by all.
    const client = new sdk.Client(
      new sdk.Config({
        endpoint: host,
        protocol,
        regionId: region,
        credential: { getCredential },
        userAgent: 'flannel-vpc',
      }),
    );
    const all = { RegionId: region, ...parameters };
    const { body } = await client.callApi(
      new sdk.Params({
        action: operation,
        version: apiVersions[product],
        protocol,
        pathname: '/',
        method: 'POST',
        authType: 'AK',
        style: 'RPC',
        reqBodyType: 'formData',
        bodyType: 'json',
      }),
      new sdk.OpenApiRequest(asForm ? { body: all } : { query: all }),
      { readTimeout: readTimeoutMs, connectTimeout: connectTimeoutMs } as Parameters<typeof client.callApi>[2],
    );
    return body;
  }

  async #open(context: CallContext, signal: AbortSignal): Promise<Opened> {
    this.#opening ??= this.#load(context, signal);
    try {
      return await this.#opening;
    } catch (error) {
      // The next call tries again.
      this.#opening = undefined;
      throw error;
    }
  }

  async #load(context: CallContext, signal: AbortSignal): Promise<Opened> {
    const { config, environment } = this.#options;
    const region = this.#knownRegion() ?? (await this.#ownRegion(context, signal));
    const source = credentialSource(config, environment, region);
    if (source.kind === 'none') throw new NoCredentials(source, undefined);
    const sdk = await import('./sdk.ts');
    return { sdk, region, source, reader: credentialReader(sdk, source) };
  }

  /** In net-conf, in the variables of the command line tool and the SDKs, or as the metadata server told it. */
  #knownRegion(): string | undefined {
    const { config, environment, region } = this.#options;
    return config.regionId || environment['ALIBABA_CLOUD_REGION_ID'] || environment['ALIBABA_CLOUD_REGION'] || region();
  }

  /** Who only works on named tables has had no reason yet to ask the metadata server. */
  async #ownRegion({ action }: CallContext, signal: AbortSignal): Promise<string> {
    const unknown = (cause?: unknown) =>
      new FlannelVpcError('CONFIG_INVALID', 'the Alibaba Cloud region is not known', {
        cause,
        hint: 'set RegionID in net-conf or ALIBABA_CLOUD_REGION_ID; on an ECS instance the metadata server tells it',
        details: { action },
      });
    const error = () => new DOMException('the metadata server does not answer', 'TimeoutError');
    let region: string | undefined;
    try {
      const deadline = { clock: this.clock, ms: identifyTimeoutMs, signal, error };
      ({ region } = await withDeadline(deadline, (inner) => readIdentity(inner)));
    } catch (cause) {
      signal.throwIfAborted();
      throw unknown(cause);
    }
    if (region === undefined) throw unknown();
    return region;
  }
}

async function readCredentials(source: CredentialSource, reader: CredentialReader): Promise<Credentials> {
  let found: Credentials;
  try {
    found = await reader.getCredential();
  } catch (error) {
    throw new NoCredentials(source, error);
  }
  if (!found.accessKeyId || !found.accessKeySecret) throw new NoCredentials(source, undefined);
  return found;
}
