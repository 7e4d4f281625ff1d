/**
 * The Security Token Service as far as pods need it: `AssumeRoleWithOIDC` of 2015-04-01, which nobody signs. It stands behind TLS, as
 * the SDK speaks nothing else to it, and takes tokens of an issuer of its own.
 */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import * as z from 'zod';
import type { Role } from '../cloud-world.ts';
import { type Front, type Operation, startFront } from '../simulator/front.ts';
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { accountId, type KeyBook } from './keys.ts';
import { checkedParameters, parametersOf } from './parameters.ts';
import { refusal, refusals } from './refusals.ts';
import { timestamp } from './state.ts';

export interface StsOptions {
  readonly keys: KeyBook;
  readonly tls: { readonly cert: string; readonly key: string };
  /** Default 127.0.0.1. */
  readonly address?: string | undefined;
  /** Default a free one. */
  readonly port?: number | undefined;
}

export interface Sts extends Front {
  /** For `ALIBABA_CLOUD_OIDC_PROVIDER_ARN`. */
  readonly providerArn: string;
  /** For `ALIBABA_CLOUD_ROLE_ARN`. */
  roleArn(role: Role): string;
  /** A token of the issuer for a caller such as `controller/a`, to be written to the token's file. */
  issueToken(caller: string, ttlSeconds?: number): string;
}

const schema = z.strictObject({
  Action: z.literal('AssumeRoleWithOIDC'),
  Version: z.literal('2015-04-01'),
  Format: z.literal('JSON'),
  Timestamp: z.string(),
  SignatureNonce: z.string().optional(),
  OIDCProviderArn: z.string(),
  RoleArn: z.string(),
  OIDCToken: z.string().trim(),
  RoleSessionName: z.string().regex(/^[\w.@-]{2,64}$/),
  DurationSeconds: z
    .string()
    .regex(/^\d{1,6}$/)
    .transform(Number)
    .pipe(z.number().min(900).max(43_200)),
});

export async function startSts({ keys, tls, address, port }: StsOptions): Promise<Sts> {
  const secret = randomBytes(32);
  const providerArn = `acs:ram::${accountId}:oidc-provider/cluster`;
  const roleArn = (role: string): string => `acs:ram::${accountId}:role/flannel-${role}`;
  const sealOf = (claims: string): string => createHmac('sha256', secret).update(claims).digest('base64url');

  /** @throws Refusal for a token that is not of this issuer, or too old. */
  function callerOf(token: string): string {
    const [, claims = '', seal] = token.split('.');
    if (seal !== sealOf(claims)) throw refusal('AuthenticationFail.OIDCToken.Invalid', 'This OIDC Token is invalid.');
    const { sub, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string; exp: number };
    if (exp <= Date.now()) throw refusal('AuthenticationFail.OIDCToken.Expired', 'This OIDC Token has expired.');
    return sub;
  }

  function assume(flat: Readonly<Record<string, string>>): SimulatorAnswer {
    const asked = checkedParameters<z.output<typeof schema>>(schema, flat);
    if (asked.OIDCProviderArn !== providerArn) {
      throw refusal('EntityNotExist.OIDCProvider', 'The specified OIDC provider does not exist.', 404);
    }
    const caller = callerOf(asked.OIDCToken);
    if (asked.RoleArn !== roleArn(caller.split('/')[0] ?? '')) {
      throw refusal('AuthenticationFail.NoPermission', 'This operation is forbidden by the role’s trust policy.', 403);
    }
    const session = keys.issueSession(caller, asked.DurationSeconds);
    const RequestId = randomUUID().toUpperCase();
    const Credentials = {
      AccessKeyId: session.accessKeyId,
      AccessKeySecret: session.accessKeySecret,
      SecurityToken: session.securityToken,
      Expiration: timestamp(session.expiresAt),
    };
    const Arn = `${asked.RoleArn.replace(':role/', ':assumed-role/')}/${asked.RoleSessionName}`;
    return { status: 200, body: { RequestId, Credentials, AssumedRoleUser: { Arn, AssumedRoleId: `3${accountId}` } } };
  }

  const operation: Operation = { name: 'AssumeRoleWithOIDC', changes: false };
  const front = await startFront({
    ...{ tls, address, port },
    dialect: {
      operationOf(request) {
        if (request.method !== 'POST' || request.url.pathname !== '/') throw refusals.noAction();
        const { Action, Version } = parametersOf(request);
        if (Action !== operation.name) throw refusals.noAction();
        if (Version !== '2015-04-01') throw refusals.badVersion();
        return operation;
      },
      callerOf: () => 'anonymous',
      refusal: (kind, _, waitMs = 1000) =>
        kind === 'throttled'
          ? refusals.throttled(waitMs)
          : kind === 'server'
            ? refusals.internal()
            : refusals.unavailable(),
      carryOut: async ({ request }) => assume(parametersOf(request)),
    },
  });
  return {
    ...front,
    providerArn,
    roleArn,
    issueToken(caller, ttlSeconds = 3600) {
      const text = JSON.stringify({
        iss: 'https://cluster.test',
        aud: 'sts.aliyuncs.com',
        sub: caller,
        exp: Date.now() + ttlSeconds * 1000,
      });
      const claims = Buffer.from(text).toString('base64url');
      return `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${claims}.${sealOf(claims)}`;
    },
  };
}
