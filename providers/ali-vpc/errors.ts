/** Turns whatever a call throws into one of our errors, once, at the edge. No text of a credential gets through. */
import * as z from 'zod';
import { endpointCertificateHint } from '../../src/core/certificate-trouble.ts';
import { errorMessage, FlannelVpcError, isAbortError } from '../../src/core/errors.ts';
import { hiddenText } from '../../src/core/secret.ts';
import type { CredentialSource } from './credentials.ts';
import { type CodeMeaning, meaningOf } from './error-codes.ts';

/** What was being done, for messages and details. */
export interface CallContext {
  /** RAM's name of the action, such as `vpc:CreateRouteEntry`; its second half is the API's name of the operation. */
  readonly action: string;
  /** Continues "Alibaba Cloud could not …", such as `create the route 10.244.1.0/24 in vtb-1`. */
  readonly doing: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** Thrown in place of what the SDK's credentials throw, whose messages hold whole answers, keys included. */
export class NoCredentials extends Error {
  readonly source: CredentialSource;

  constructor(source: CredentialSource, original: unknown) {
    super(reasonOf(original));
    this.name = 'NoCredentials';
    this.source = source;
  }
}

/** The parts of the SDK's service errors that are used. */
const serviceError = z.object({
  code: z.string(),
  statusCode: z.number(),
  message: z.string(),
  requestId: z.string().optional().catch(undefined),
  /** Milliseconds. */
  retryAfter: z.number().optional().catch(undefined),
  data: z.object({ Message: z.string() }).optional().catch(undefined),
  accessDeniedDetail: z.object({ AuthAction: z.string() }).optional().catch(undefined),
});
type ServiceError = z.infer<typeof serviceError>;

/**
 * The error to throw in place of `error`. An abort by the signal's owner stays an AbortError; a deadline that has passed is
 * TRANSIENT. `secrets` are taken out of every text.
 */
export function translateError(
  error: unknown,
  context: CallContext,
  signal: AbortSignal,
  secrets: readonly string[],
): Error {
  if (signal.aborted) return abortOrDeadline(signal, context);
  if (error instanceof FlannelVpcError) return error;
  if (error instanceof NoCredentials) return noCredentials(error, context);
  const service = serviceError.safeParse(error);
  return service.success
    ? translateServiceError(service.data, context, secrets)
    : translateOther(error, context, secrets);
}

/** The error for a cloud's code that came without an error of the SDK's: one change's in the answer to a batch. */
export function codeError(cloudCode: string, message: string, context: CallContext): FlannelVpcError {
  return said(meaningOf(cloudCode, 400, message), { cloudCode, message }, context);
}

/** The error for an answer that is not what the API's reference says. */
export function unreadable(context: CallContext, what: string): FlannelVpcError {
  return failure('TRANSIENT', context, `the answer is not what the API sends: ${what}`, {
    hint: 'see whether something else answers at the endpoint (a proxy)',
  });
}

function abortOrDeadline(signal: AbortSignal, context: CallContext): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof FlannelVpcError) return reason;
  if (nameOf(reason) === 'TimeoutError') {
    return failure('TRANSIENT', context, `no answer before the deadline`, { retryAfterMs: 1_000 });
  }
  return isAbortError(reason) ? (reason as Error) : new DOMException(`gave up: ${errorMessage(reason)}`, 'AbortError');
}

function translateServiceError(
  service: ServiceError,
  context: CallContext,
  secrets: readonly string[],
): FlannelVpcError {
  const { statusCode: status, requestId, retryAfter, accessDeniedDetail } = service;
  // The SDK writes a missing code as the word "undefined".
  const cloudCode = service.code === 'undefined' ? `HTTP status ${status}` : service.code;
  const message = withoutSecrets(service.data?.Message ?? '', secrets);
  return said(
    meaningOf(cloudCode, status, message),
    { cloudCode, message, status, requestId, retryAfter, authAction: accessDeniedDetail?.AuthAction },
    context,
  );
}

/** One error of the cloud's, in its own words. */
function said(
  meaning: CodeMeaning,
  from: {
    readonly cloudCode: string;
    readonly message: string;
    readonly status?: number | undefined;
    readonly requestId?: string | undefined;
    readonly retryAfter?: number | undefined;
    readonly authAction?: string | undefined;
  },
  context: CallContext,
): FlannelVpcError {
  const { cloudCode, status, requestId, retryAfter } = from;
  // What the cloud expected to be signed follows a wrong signature: headers, tokens and all.
  const message = /^Signature|Signature$/.test(cloudCode) ? (from.message.split(/[.:]\s/)[0] ?? '') : from.message;
  const denied = meaning.code === 'PERMISSION_DENIED' && meaning.hint === undefined;
  const action = denied ? (from.authAction ?? context.action) : context.action;
  return failure(meaning.code, context, message === '' ? cloudCode : `${cloudCode}: ${message}`, {
    hint: denied
      ? `allow ${action} for this role or user: providers/ali-vpc/README.md, "Least rights", has the policies`
      : (meaning.hint ?? defaultHints[meaning.code]),
    details: { action, cloudCode, status, requestId },
    retryAfterMs: retryAfter !== undefined && retryAfter > 0 ? Math.min(retryAfter, 300_000) : meaning.retryAfterMs,
  });
}

const defaultHints: Partial<Record<FlannelVpcError['code'], string>> = {
  CONFLICT: 'what stands is read again; see who else writes to this table (ActionTrail) if it goes on',
  NOT_FOUND: 'see whether it is there, in this account and region; RegionID in net-conf names another region',
  INVALID: 'look the request id of the details up at https://api.alibabacloud.com/troubleshoot',
  THROTTLED: 'it is asked again by itself; the account’s other users of this API count too',
  TRANSIENT: 'it is asked again by itself',
};

/** What never reached the cloud, or came back garbled. */
function translateOther(error: unknown, context: CallContext, secrets: readonly string[]): FlannelVpcError {
  const message = withoutSecrets(errorMessage(error), secrets);
  const systemCode = systemCodeOf(error);
  if (nameOf(error) === 'SyntaxError') return unreadable(context, 'it is not JSON');
  const timedOut = nameOf(error) === 'RequestTimeoutError';
  // The SDK's text of a failed connection holds the whole address of the request.
  const text = timedOut ? 'it did not answer in time' : (systemCode ?? message.split(/(?:GET|POST) https?:/)[0] ?? '');
  return failure('TRANSIENT', context, text, {
    details: { systemCode },
    hint:
      endpointCertificateHint(`${message} ${systemCode ?? ''}`) ??
      'check the way to the endpoint: DNS, security group, NAT, or "EndpointType": "vpc" on machines without a way to the internet',
  });
}

function noCredentials({ source, message }: NoCredentials, context: CallContext): FlannelVpcError {
  const text = `no credentials from ${source.label}: ${message}`;
  if (source.kind === 'role' && /time|ECONN|EHOST|ENET/i.test(message)) {
    return failure('METADATA_UNAVAILABLE', context, text, {
      hint: 'see whether the metadata server (100.100.100.200, hardened mode) answers this machine; in a container use the host’s network',
    });
  }
  // The Security Token Service can be away as every other.
  if (source.kind !== 'role' && /time|ECONN|EAI_AGAIN|EHOST|ENET|status 5/i.test(message)) {
    return failure('TRANSIENT', context, text, {
      hint: 'check the way to the Security Token Service (sts.REGION.aliyuncs.com)',
    });
  }
  return failure('PERMISSION_DENIED', context, text, { hint: credentialHints[source.kind] });
}

const credentialHints: Readonly<Record<CredentialSource['kind'], string>> = {
  key: 'give both halves of an access key',
  oidc: 'check the role’s trust policy, the OIDC provider and the token file (ALIBABA_CLOUD_ROLE_ARN, …_OIDC_PROVIDER_ARN, …_OIDC_TOKEN_FILE)',
  uri: 'check what ALIBABA_CLOUD_CREDENTIALS_URI answers',
  files: 'check the profile that ALIBABA_CLOUD_PROFILE and ALIBABA_CLOUD_CREDENTIALS_FILE name',
  role: 'attach a RAM role with a policy of providers/ali-vpc/README.md to the instance (aliyun ecs AttachInstanceRamRole), or give an access key in the environment',
  none: 'unset ALIBABA_CLOUD_ECS_METADATA_DISABLED, or give an access key in the environment',
};

/** Why there are no credentials, without the body of any answer: it may be one that holds them. */
function reasonOf(original: unknown): string {
  const message = errorMessage(original);
  const systemCode = systemCodeOf(original);
  if (systemCode !== undefined && /^E[A-Z_]+$/.test(systemCode)) return systemCode;
  if (nameOf(original) === 'RequestTimeoutError' || /Timeout/.test(message)) return 'no answer in time';
  const cloudCode = /"Code"\s*:\s*"([\w.]{1,80})"/.exec(message)?.[1];
  const status = /(?:httpStatus: |failed with |credentials\/\S* )(\d{3})/.exec(message)?.[1];
  if (cloudCode !== undefined) return cloudCode;
  if (status === '404') return 'there is none (HTTP status 404)';
  return status === undefined ? 'the answer could not be used' : `HTTP status ${status}`;
}

function failure(
  code: FlannelVpcError['code'],
  context: CallContext,
  text: string,
  options: {
    readonly hint?: string | undefined;
    readonly details?: Readonly<Record<string, unknown>> | undefined;
    readonly retryAfterMs?: number | undefined;
  },
): FlannelVpcError {
  // Without the SDK's error as its cause: that one holds the signed request.
  return new FlannelVpcError(code, `Alibaba Cloud could not ${context.doing}: ${text}`, {
    ...options,
    details: { action: context.action, ...context.details, ...definedOnly(options.details ?? {}) },
  });
}

/** The text without these values. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((left, secret) => (secret.length < 4 ? left : left.replaceAll(secret, hiddenText)), text);
}

/** By shape: errors of Node's own come from another realm under a test runner. */
function nameOf(error: unknown): string {
  const name = (error as { name?: unknown } | undefined)?.name;
  return typeof name === 'string' ? name : '';
}

function systemCodeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

function definedOnly(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
