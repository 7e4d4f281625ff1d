/**
 * Access tokens, from where Google's libraries look for them, in their order: the file that GOOGLE_APPLICATION_CREDENTIALS names (a
 * service account's key, workload identity federation, a user's), gcloud's own file, the metadata server. The SDK's code reads files;
 * metadata tokens are read here, without its probing, and so without its library.
 */

import { access, readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Clock } from '../../src/core/clock.ts';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { parseJson } from '../../src/core/json.ts';
import { Secret } from '../../src/core/secret.ts';
import { untilDone } from '../../src/core/until.ts';
import type { AuthClient } from './clients.mjs';
import { type Environment, gcloudFile, readToken } from './metadata.ts';

/** What the provider asks for: tokens of service account keys can do no more. */
export const scope = 'https://www.googleapis.com/auth/compute';

/** A token is used until this long before its end, milliseconds. Google's metadata server gives a new one at the same time. */
const renewBeforeMs = 60_000;

export interface CredentialsOptions {
  readonly environment: Environment;
  readonly clock: Clock;
  /** The auth client that the SDK makes of a file's content, for tokens of that scope. */
  fromContent(content: object, scope: string): Promise<Pick<AuthClient, 'getRequestHeaders'>>;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  #source: Promise<(signal: AbortSignal) => Promise<Secret>> | undefined;
  #metadata: { readonly token: Secret; readonly until: number } | undefined;

  constructor(options: CredentialsOptions) {
    this.#options = options;
  }

  /** The value of an Authorization header. @throws PERMISSION_DENIED, METADATA_UNAVAILABLE, TRANSIENT; an AbortError. */
  async authorization(signal: AbortSignal): Promise<Secret> {
    this.#source ??= this.#find();
    try {
      return await (await this.#source)(signal);
    } catch (error) {
      // A file that was put right is read again.
      this.#source = undefined;
      throw error;
    }
  }

  /** Forgets a token that was refused. */
  refused(): void {
    this.#metadata = undefined;
  }

  async #find(): Promise<(signal: AbortSignal) => Promise<Secret>> {
    const { environment } = this.#options;
    const named = environment['GOOGLE_APPLICATION_CREDENTIALS'];
    if (named) return await this.#fromFile(named, `${named} (GOOGLE_APPLICATION_CREDENTIALS)`);
    const file = gcloudFile(environment);
    const there = await access(file).then(
      () => true,
      () => false,
    );
    return there ? await this.#fromFile(file, file) : (signal) => this.#fromMetadata(signal);
  }

  async #fromFile(path: string, from: string): Promise<(signal: AbortSignal) => Promise<Secret>> {
    const content = await contentOf(path, from);
    const client = await translated(from, () => this.#options.fromContent(content, scope));
    return async (signal) => {
      // The library knows no signal; it caches the token by itself.
      const headers = await untilDone(
        translated(from, () => client.getRequestHeaders()),
        signal,
      );
      return new Secret(headers.get('authorization') ?? '');
    };
  }

  async #fromMetadata(signal: AbortSignal): Promise<Secret> {
    const { clock, environment } = this.#options;
    const asked = clock.monotonic();
    if (!this.#metadata || asked >= this.#metadata.until) {
      const { token, validMs } = await readToken(environment, signal);
      const until = asked + Math.max(0, validMs - renewBeforeMs);
      this.#metadata = { token: new Secret(`Bearer ${token.reveal()}`), until };
    }
    return this.#metadata.token;
  }
}

const contentSchema = z.looseObject({ type: z.string() });

/** Nothing of a file that can't be read as credentials is shown: it may be a key all the same. */
async function contentOf(path: string, from: string): Promise<object> {
  const text = await readFile(path, 'utf8').catch((error: { readonly code?: unknown }) => {
    throw noCredentials(from, typeof error.code === 'string' ? error.code : 'it is not readable', false);
  });
  try {
    return contentSchema.parse(parseJson(text));
  } catch {
    throw noCredentials(from, 'it is no JSON object with a type', false);
  }
}

/** Failures of the way to a token endpoint. */
const onTheWay = /^(?:ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|UND_ERR)/;

/** The library's errors hold whole requests, keys included: only their words go on. */
async function translated<T>(from: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (isFlannelVpcError(error)) throw error;
    const { message, status, code } = error as { message?: unknown; status?: unknown; code?: unknown };
    const said = wordsOf(typeof message === 'string' ? message : 'it did not say why');
    const passes =
      typeof status === 'number' ? status >= 500 || status === 429 : typeof code === 'string' && onTheWay.test(code);
    throw noCredentials(from, said, passes);
  }
}

function noCredentials(from: string, said: string, passes: boolean): FlannelVpcError {
  return new FlannelVpcError(passes ? 'TRANSIENT' : 'PERMISSION_DENIED', `no credentials from ${from}: ${said}`, {
    hint: passes
      ? 'check the way to the token endpoint that the file names: NAT, proxy, DNS'
      : 'check the file of credentials: that it is there, readable, and still valid',
  });
}

/** One line of an error, without anything that looks like a key or a token. */
function wordsOf(message: string): string {
  const [line = ''] = message.split('\n');
  return line.replace(/[A-Za-z0-9+/_=.-]{40,}/g, '…').slice(0, 200);
}
