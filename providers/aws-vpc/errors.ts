/** Turns whatever an EC2 call throws into one of our errors, once, at the edge. */
import * as z from 'zod';
import { endpointCertificateHint } from '../../src/core/certificate-trouble.ts';
import { errorMessage, FlannelVpcError, isAbortError } from '../../src/core/errors.ts';
import { meaningOf } from './error-codes.ts';

/** What was being done, for messages and details. */
export interface CallContext {
  /** IAM's name of the action, such as `ec2:CreateRoute`. */
  readonly action: string;
  /** Continues "EC2 could not …", such as `create the route 10.244.1.0/24 in rtb-1`. */
  readonly doing: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** The parts of the SDK's service errors that are used. */
const serviceError = z.object({
  name: z.string(),
  message: z.string(),
  $fault: z.enum(['client', 'server']),
  $metadata: z.object({
    httpStatusCode: z.number().optional(),
    requestId: z.string().optional(),
    clockSkewCorrected: z.boolean().optional(),
  }),
  $response: z
    .object({ headers: z.record(z.string(), z.string()) })
    .partial()
    .optional()
    .catch(undefined),
});
type ServiceError = z.infer<typeof serviceError>;

/**
 * The error to throw in place of `error`. An abort by the signal's owner stays an AbortError; a deadline that has passed is
 * TRANSIENT.
 */
export function translateError(error: unknown, context: CallContext, signal: AbortSignal): Error {
  if (signal.aborted) return abortOrDeadline(signal, context);
  if (error instanceof FlannelVpcError) return error;
  const service = serviceError.safeParse(error);
  if (service.success) return translateServiceError(service.data, error, context);
  return translateOther(error, context);
}

function abortOrDeadline(signal: AbortSignal, context: CallContext): Error {
  const reason: unknown = signal.reason;
  if (nameOf(reason) === 'TimeoutError') {
    return failure('TRANSIENT', context, 'no answer before the deadline', { cause: reason });
  }
  return isAbortError(reason) ? (reason as Error) : new DOMException(`gave up: ${errorMessage(reason)}`, 'AbortError');
}

function translateServiceError(service: ServiceError, cause: unknown, context: CallContext): FlannelVpcError {
  const { httpStatusCode: status, requestId, clockSkewCorrected } = service.$metadata;
  const awsCode = service.name;
  const meaning = meaningOf(awsCode, status);
  const details = { awsCode, status, requestId };
  const text = awsCode === 'Unknown' ? `HTTP status ${status ?? 'unknown'}` : `${awsCode}: ${service.message}`;

  // Signed with a wrong clock; the SDK has learnt the right one from the answer.
  if (clockSkewCorrected) {
    return failure('TRANSIENT', context, text, {
      cause,
      details,
      hint: 'this machine’s clock is wrong by minutes: set it (NTP)',
    });
  }
  if (meaning.code === 'PERMISSION_DENIED' && meaning.hint === undefined) return denied(service, cause, context);
  // The reference gives this code for any call that names a route; what is seen of ReplaceRoute is the one below.
  if (awsCode === 'InvalidRoute.NotFound' && context.action === 'ec2:ReplaceRoute') {
    return failure('CONFLICT', context, text, { cause, details });
  }
  // EC2 has no code of its own for these two.
  if (awsCode === 'InvalidParameterValue' && /no route (is )?defined|route .* does not exist/i.test(service.message)) {
    return failure('CONFLICT', context, text, { cause, details });
  }
  if (awsCode === 'InvalidParameterValue' && /more specific|local route|VPC.?s CIDR/i.test(service.message)) {
    const hint = 'choose a Network outside every CIDR block of the VPC';
    return failure('INVALID', context, text, { cause, details, hint });
  }
  return failure(meaning.code, context, text, {
    cause,
    details,
    hint: meaning.hint,
    retryAfterMs: retryAfter(service),
  });
}

/**
 * A refusal by IAM. EC2 hides the policy that refused in an encoded message, which takes a permission of its own to read, so
 * it is handed on for the operator to decode.
 */
function denied(service: ServiceError, cause: unknown, context: CallContext): FlannelVpcError {
  const { message } = service;
  const [said = message, encodedMessage] = message.split(/\s*Encoded authorization failure message:\s*/i);
  const action = /perform: (\S+)/.exec(said)?.[1] ?? context.action;
  const principal = /User: (\S+)/.exec(said)?.[1];
  const resource = /on resource: (\S+)/.exec(said)?.[1];
  const decode = encodedMessage
    ? '; `aws sts decode-authorization-message --encoded-message …` shows which policy refused'
    : '';
  return failure('PERMISSION_DENIED', context, `${service.name}: ${said.trim()}`, {
    cause,
    hint: `allow ${action}${resource ? ` on ${resource}` : ''}${principal ? ` for ${principal}` : ' for this role'}${decode}`,
    details: {
      awsCode: service.name,
      status: service.$metadata.httpStatusCode,
      requestId: service.$metadata.requestId,
      action,
      principal,
      resource,
      encodedMessage: encodedMessage?.trim(),
    },
  });
}

/** What never reached EC2, or came back garbled. */
function translateOther(error: unknown, context: CallContext): FlannelVpcError {
  const message = errorMessage(error);
  const name = nameOf(error);
  if (/Region is missing|Region not accepted/i.test(message)) return noRegion(error, context);
  if (isNoCredentials(error)) return noCredentials(error, context, message);
  return failure('TRANSIENT', context, name === 'TimeoutError' ? `timed out (${message})` : message, {
    cause: error,
    details: { systemCode: systemCode(error) },
    hint:
      endpointCertificateHint(`${message} ${systemCode(error) ?? ''}`) ??
      'check the way to the EC2 endpoint: NAT or VPC endpoint, security group, DNS',
  });
}

/** The error where neither the environment nor the metadata server names a Region that could be one. */
export function noRegion(cause: unknown, context: CallContext): FlannelVpcError {
  return failure('CONFIG_INVALID', context, 'the AWS Region is not known', {
    cause,
    hint: 'set AWS_REGION; on an instance the metadata server tells it',
  });
}

/** True when the SDK's chain found no credentials. */
export function isNoCredentials(error: unknown): boolean {
  return /^(CredentialsProviderError|TokenProviderError|ProviderError|InstanceMetadataV1FallbackError)$/.test(
    nameOf(error),
  );
}

/** True when EC2 does not know, or no longer takes, the credentials that a request was signed with ("Error codes for the Amazon EC2 API"). */
export function refusesCredentials(error: unknown): boolean {
  return /^(AuthFailure|InvalidClientTokenId|UnrecognizedClientException|ExpiredToken(Exception)?)$/.test(
    nameOf(error),
  );
}

/** The error for want of credentials; `why` is all that is known of the reason. */
export function noCredentials(cause: unknown, context: CallContext, why: string): FlannelVpcError {
  return failure('PERMISSION_DENIED', context, why, {
    cause,
    hint: 'attach a role with the policy in providers/aws-vpc/README.md to the instance, or give credentials in the environment',
  });
}

function failure(
  code: FlannelVpcError['code'],
  context: CallContext,
  text: string,
  options: {
    readonly cause: unknown;
    readonly hint?: string | undefined;
    readonly details?: Readonly<Record<string, unknown>> | undefined;
    readonly retryAfterMs?: number | undefined;
  },
): FlannelVpcError {
  return new FlannelVpcError(code, `EC2 could not ${context.doing}: ${text}`, {
    ...options,
    details: { action: context.action, ...context.details, ...definedOnly(options.details ?? {}) },
  });
}

function retryAfter({ $response }: ServiceError): number | undefined {
  const seconds = Number($response?.headers?.['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 300) * 1000 : undefined;
}

/** By shape: errors of Node's own come from another realm under a test runner. */
function nameOf(error: unknown): string {
  const name = (error as { name?: unknown } | undefined)?.name;
  return typeof name === 'string' ? name : '';
}

function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

function definedOnly(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
