/** Access tokens: who they stand for and what their scopes reach. */
import { randomBytes } from 'node:crypto';
import type { SimulatorAnswer, SimulatorRequest } from '../simulator/http-server.ts';
import { Refusal } from '../simulator/refusal.ts';
import { refusals } from './errors.ts';

export const fullScope = 'https://www.googleapis.com/auth/cloud-platform';
const writeScopes = [fullScope, 'https://www.googleapis.com/auth/compute'];
const readScopes = [...writeScopes, 'https://www.googleapis.com/auth/compute.readonly'];

export interface AccessToken {
  readonly token: string;
  /** As in `CloudRequest.caller`. */
  readonly caller: string;
  readonly scopes: readonly string[];
  /** Wall clock, milliseconds. */
  readonly expiresAt: number;
}

export class Tokens {
  readonly #issued = new Map<string, AccessToken>();
  /** What a workload's own identity provider gives it, by its text. */
  readonly #subjects = new Map<string, string>();

  /** @param ttlMs far longer than Google's hour, so that a test's metadata need not be made anew. */
  issue(caller: string, scopes: readonly string[], ttlMs = 6 * 3_600_000): AccessToken {
    const token = `ya29.c.${randomBytes(24).toString('base64url')}`;
    const issued = { token, caller, scopes, expiresAt: Date.now() + ttlMs };
    this.#issued.set(token, issued);
    return issued;
  }

  revoke(token: string): void {
    this.#issued.delete(token);
  }

  /** A credential that `exchange` takes for the caller's. */
  subject(caller: string): string {
    const text = randomBytes(24).toString('base64url');
    this.#subjects.set(text, caller);
    return text;
  }

  /** Whose token the request carries. @throws Refusal in Google's words. */
  of({ headers }: SimulatorRequest, operation: string): AccessToken {
    const { authorization } = headers;
    if (authorization === undefined) throw refusals.noCredentials(operation);
    const issued = this.#issued.get(/^Bearer (\S+)$/.exec(authorization)?.[1] ?? '');
    if (!issued || issued.expiresAt <= Date.now()) throw refusals.badCredentials(operation);
    return issued;
  }

  /** @throws Refusal where the token's scopes do not reach. */
  checkScopes({ scopes }: AccessToken, operation: string, changes: boolean): void {
    const enough = changes ? writeScopes : readScopes;
    if (!scopes.some((scope) => enough.includes(scope))) throw refusals.scopes(operation);
  }

  /** Google's Security Token Service ("Method: token"): an identity provider's token for one of Google's. */
  exchange({ body }: SimulatorRequest): SimulatorAnswer {
    const form = new URLSearchParams(body);
    const caller = this.#subjects.get(form.get('subject_token') ?? '');
    const fits =
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:token-exchange' &&
      form.get('requested_token_type') === 'urn:ietf:params:oauth:token-type:access_token';
    if (!fits || caller === undefined) {
      const error = fits ? 'invalid_grant' : 'invalid_request';
      throw new Refusal(error, error, {
        status: 400,
        body: { error, error_description: 'The token is not accepted.' },
      });
    }
    const { token } = this.issue(caller, (form.get('scope') ?? '').split(' '));
    return {
      status: 200,
      body: {
        access_token: token,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: 3599,
      },
    };
  }
}
