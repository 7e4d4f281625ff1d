/** Access keys, whose they are, and what their owners may do. */
import { randomBytes } from 'node:crypto';
import type { Role } from '../cloud-world.ts';
import type { SimulatorRequest } from '../simulator/http-server.ts';
import { allows, type RamPolicy } from './ram-policy.ts';
import { refusals } from './refusals.ts';
import { signatureOf } from './signature.ts';

/** The account that owns everything. */
export const accountId = '1234567890123456';

export interface AccessKey {
  readonly accessKeyId: string;
  readonly accessKeySecret: string;
  /** Present for a role's, absent for a user's. */
  readonly securityToken?: string | undefined;
  /** Wall clock milliseconds. */
  readonly expiresAt?: number | undefined;
}

export interface Session extends AccessKey {
  readonly securityToken: string;
  readonly expiresAt: number;
}

export class KeyBook {
  readonly #keys = new Map<string, AccessKey & { readonly caller: string }>();
  readonly #policies = new Map<Role, RamPolicy>();
  readonly #nonces = new Set<string>();

  /** Permanent keys of a RAM user. `caller` is such as `controller/a`. */
  issue(caller: string): AccessKey {
    const key = { accessKeyId: `LTAI5t${randomText(18)}`, accessKeySecret: randomText(30) };
    this.#keys.set(key.accessKeyId, { ...key, caller });
    return key;
  }

  /** Temporary keys of a RAM role. */
  issueSession(caller: string, ttlSeconds = 6 * 3600): Session {
    const key = {
      accessKeyId: `STS.${randomText(25)}`,
      accessKeySecret: randomText(44),
      securityToken: randomBytes(120).toString('base64'),
      expiresAt: Date.now() + ttlSeconds * 1000,
    };
    this.#keys.set(key.accessKeyId, { ...key, caller });
    return key;
  }

  /** Makes a key useless, as when it is deleted or its role is taken away. */
  revoke({ accessKeyId }: Pick<AccessKey, 'accessKeyId'>): void {
    this.#keys.delete(accessKeyId);
  }

  /** What the role may do from now on; everything when undefined. */
  setPolicy(role: Role, policy: RamPolicy | undefined): void {
    if (policy) this.#policies.set(role, policy);
    else this.#policies.delete(role);
  }

  /** Who signed the request. @throws Refusal when it is not signed as it must be. */
  callerOf(request: SimulatorRequest): string {
    const now = Date.now();
    const signature = signatureOf(request, now);
    const key = this.#keys.get(signature.accessKeyId);
    if (!key) throw refusals.noKey();
    if (key.securityToken !== signature.securityToken) throw refusals.wrongToken();
    signature.verify(key.accessKeySecret);
    if (key.expiresAt !== undefined && key.expiresAt <= now) throw refusals.expiredToken();
    if (this.#nonces.has(signature.nonce)) throw refusals.nonceUsed();
    this.#nonces.add(signature.nonce);
    return key.caller;
  }

  /** @throws Refusal Forbidden.RAM. */
  authorize(caller: string, action: string, resource: string): void {
    const policy = this.#policies.get(caller.split('/')[0] as Role);
    if (policy && !allows(policy, action, resource)) throw refusals.forbidden(action, caller, accountId);
  }
}

function randomText(length: number): string {
  return randomBytes(length).toString('base64').replace(/[+/=]/g, 'x').slice(0, length);
}
