/** Roles and the credentials handed out for them, as the proxy knows them. */
import { randomBytes } from 'node:crypto';
import { Ec2Refusal, refusals } from './ec2-error.ts';
import type { Ec2Request } from './ec2-request.ts';
import { type Access, allowAll, judgeAccess, type Policy } from './iam-policy.ts';

/** The account LocalStack gives to the key `test`. */
export const accountId = '000000000000';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Present for a role's, absent for a user's. */
  readonly sessionToken?: string | undefined;
  /** Wall clock milliseconds. */
  readonly expiresAt?: number | undefined;
}

export interface Caller {
  readonly role: string;
  /** Such as `arn:aws:sts::000000000000:assumed-role/node/i-1`. */
  readonly arn: string;
}

/** Requests signed with this key pass unlogged, unthrottled and unharmed: the test's own hand. */
export const adminCredentials: AwsCredentials = { accessKeyId: 'ADMIN', secretAccessKey: 'admin' };

export class RoleBook {
  readonly #policies = new Map<string, Policy>();
  readonly #issued = new Map<string, AwsCredentials & { readonly caller: Caller }>();

  /** Makes a role, or gives it another policy from now on. */
  setRole(role: string, policy: Policy = allowAll): void {
    this.#policies.set(role, policy);
  }

  /** Temporary credentials for a session of the role; its name is the instance id on EC2. */
  issue(role: string, session: string, ttlSeconds = 6 * 3600): AwsCredentials & { readonly sessionToken: string } {
    if (!this.#policies.has(role)) throw new Error(`there is no role ${role}`);
    const credentials = {
      accessKeyId: `ASIA${randomBytes(8).toString('hex').toUpperCase()}`,
      secretAccessKey: randomBytes(20).toString('base64'),
      sessionToken: randomBytes(60).toString('base64'),
      expiresAt: Date.now() + ttlSeconds * 1000,
    };
    const arn = `arn:aws:sts::${accountId}:assumed-role/${role}/${session}`;
    this.#issued.set(credentials.accessKeyId, { ...credentials, caller: { role, arn } });
    return credentials;
  }

  /** Makes credentials useless, as when a role is taken from an instance. */
  revoke({ accessKeyId }: AwsCredentials): void {
    this.#issued.delete(accessKeyId);
  }

  /** Who signed. @throws Ec2Refusal AuthFailure, ExpiredToken. */
  callerOf(request: Ec2Request, now: number): Caller {
    const issued = this.#issued.get(request.accessKeyId ?? '');
    if (!issued || issued.sessionToken !== request.sessionToken) throw refusals.unknownKey();
    if (issued.expiresAt !== undefined && issued.expiresAt <= now) {
      throw new Ec2Refusal('ExpiredToken', 'The security token included in the request is expired');
    }
    return issued.caller;
  }

  /** @throws Ec2Refusal UnauthorizedOperation in EC2's words. */
  authorize(caller: Caller, access: Access): void {
    const policy = this.#policies.get(caller.role);
    const verdict = policy ? judgeAccess(policy, access) : 'denied';
    if (verdict === 'allowed') return;
    const on = access.resource === '*' ? '' : ` on resource: ${access.resource}`;
    const because =
      verdict === 'denied'
        ? `because no identity-based policy allows the ${access.action} action`
        : 'with an explicit deny in an identity-based policy';
    // Real ones hold compressed and encrypted JSON.
    const encoded = Buffer.from(`${caller.arn} ${access.action}`).toString('base64url');
    throw new Ec2Refusal(
      'UnauthorizedOperation',
      `You are not authorized to perform this operation. User: ${caller.arn} is not authorized to perform: ${access.action}${on} ${because}. Encoded authorization failure message: ${encoded}`,
      403,
    );
  }
}
