/** Access tokens: opaque, issued to a caller, good for ARM and for a while. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../../../src/core/clock.ts';
import { refusals } from './errors.ts';

export interface Token {
  readonly text: string;
  /** Such as `node/<instance id>`. */
  readonly caller: string;
  /** Wall clock milliseconds. */
  readonly expiresAt: number;
}

/** A day, as a managed identity's. */
const lifetimeMs = 86_400_000;

/** With which ARM is asked for; some programs add a slash, some use the old name. */
export function isArmAudience(resource: string): boolean {
  return /^https:\/\/management\.(azure\.com|core\.windows\.net)\/{0,2}$/.test(resource);
}

export class TokenBook {
  readonly #clock: Clock;
  readonly #tokens = new Map<string, Token>();
  readonly #clientIds = new Map<string, string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue(caller: string, ttlMs = lifetimeMs): Token {
    const text = `eyJ0eXAiOiJKV1QifQ.${randomBytes(45).toString('base64url')}.${randomBytes(30).toString('base64url')}`;
    const token: Token = { text, caller, expiresAt: this.#clock.now() + ttlMs };
    this.#tokens.set(text, token);
    return token;
  }

  revokeAll(caller: string): void {
    for (const [text, token] of this.#tokens) if (token.caller === caller) this.#tokens.delete(text);
  }

  /** The client id of the caller's identity, the same at every call. */
  clientIdOf(caller: string): string {
    const known = this.#clientIds.get(caller) ?? randomUUID();
    this.#clientIds.set(caller, known);
    return known;
  }

  callerWithClientId(clientId: string): string | undefined {
    return [...this.#clientIds].find(([, id]) => id === clientId)?.[0];
  }

  /** Who sends `Authorization: Bearer …`. @throws Refusal 401 */
  callerOf(authorization: string | undefined): string {
    if (authorization === undefined) throw refusals.noAuthorization();
    const [, text = ''] = /^Bearer (\S+)$/.exec(authorization) ?? [];
    const token = this.#tokens.get(text);
    if (!token) throw refusals.badToken('The access token is invalid.');
    if (token.expiresAt <= this.#clock.now()) throw refusals.expiredToken(new Date(token.expiresAt).toISOString());
    return token.caller;
  }
}
