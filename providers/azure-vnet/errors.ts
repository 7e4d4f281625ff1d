/** Turns what ARM answers, and what the SDK throws, into our errors, once, at the edge. */
import * as z from 'zod';
import { endpointCertificateHint } from '../../src/core/certificate-trouble.ts';
import { errorMessage, FlannelVpcError, isAbortError } from '../../src/core/errors.ts';
import { type CodeMeaning, meaningOf } from './error-codes.ts';

/** What was being done, for messages and details. */
export interface CallContext {
  /** Azure's name of the action, such as `Microsoft.Network/routeTables/write`. */
  readonly action: string;
  /** Continues "Azure could not …", such as `create the route 10.244.1.0/24 in s/g/t`. */
  readonly doing: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** A refusal: an answer's status and headers, or a failed operation's end, which has neither. */
export interface Refusal {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The parsed body. */
  readonly body: unknown;
}

interface ArmError {
  readonly code: string;
  readonly message: string;
  readonly details?: readonly ArmError[] | undefined;
}

const armError: z.ZodType<ArmError> = z.object({
  code: z.string().catch(''),
  message: z.string().catch(''),
  details: z
    .array(z.lazy(() => armError))
    .optional()
    .catch(undefined),
});
const errorBody = z.object({ error: armError });

/** Milliseconds to come back after, where another write is under way and the answer does not say how long. */
const busyMs = 4_000;

/** ARM's refusal as one of our errors. */
export function refusalError({ status, headers, body }: Refusal, context: CallContext): FlannelVpcError {
  const error = errorBody.safeParse(body).data?.error ?? { code: '', message: '' };
  const chain = [error, ...(error.details ?? [])];
  const { meaning, said } = judge(chain, status);
  const text = said.code ? `${said.code}: ${said.message.trim()}` : `HTTP status ${status ?? 'unknown'}`;
  const details = {
    azureCode: error.code || undefined,
    innerCode: said.code === error.code ? undefined : said.code,
    status,
    requestId: headers['x-ms-request-id'],
    ...deniedDetails(chain),
  };
  const retryAfterMs = retryAfter(headers) ?? (meaning.busy ? (secondsOfText(chain) ?? busyMs) : undefined);
  const { code } = meaning;
  const hint = meaning.hint ?? hintFor(code, details, context);
  return failure(code, context, text, { hint, details, retryAfterMs });
}

/** The inner code says more than the outer one where it is known at all; the status decides where none is. */
function judge(chain: readonly ArmError[], status: number | undefined): { meaning: CodeMeaning; said: ArmError } {
  const [outer = { code: '', message: '' }, ...inner] = chain;
  const meaning = meaningOf(outer.code, status, outer.message);
  for (const each of inner) {
    const better = meaningOf(each.code, status, each.message);
    const known = better.busy || ['QUOTA_EXCEEDED', 'PERMISSION_DENIED', 'NOT_FOUND'].includes(better.code);
    if (known && each.code !== '') return { meaning: better, said: each };
  }
  return { meaning, said: outer };
}

/**
 * The error to throw in place of what a call threw. An abort by the signal's owner stays an AbortError; a deadline that has passed is
 * TRANSIENT. The SDK's error is not kept as a cause: it carries the request, and that the token.
 */
export function translateError(error: unknown, context: CallContext, signal: AbortSignal): Error {
  if (signal.aborted) return abortOrDeadline(signal, context);
  // Somebody else's abort, by which a connection was not opened, is a mishap to this caller.
  if (error instanceof FlannelVpcError) return error;
  const systemCode = (error as { code?: unknown } | undefined)?.code;
  const code = typeof systemCode === 'string' ? systemCode : undefined;
  // Its text would be the body that could not be read.
  const text = code === 'PARSE_ERROR' ? 'the answer is no JSON' : (errorMessage(error).split('\n', 1)[0] ?? '');
  return failure('TRANSIENT', context, text.slice(0, 300), {
    details: { systemCode: code },
    hint:
      endpointCertificateHint(`${text} ${code ?? ''}`) ??
      'check the way to Azure’s Resource Manager: outbound access of the subnet, private link, proxy, DNS',
  });
}

/** The error for an answer that does not have the shape it should. */
export function unreadable(context: CallContext): FlannelVpcError {
  return failure('TRANSIENT', context, 'the answer is not as Azure’s are', {
    hint: 'see whether something else answers in place of Azure (FLANNEL_VPC_AZURE_ENDPOINT, a proxy)',
  });
}

/** The error for a change that did not end in time. */
export function overdue(context: CallContext, retryAfterMs: number): FlannelVpcError {
  return failure('TRANSIENT', context, 'the operation is still under way', {
    hint: 'nothing has to be done: it is waited for again',
    retryAfterMs,
  });
}

/**
 * The header that makes a write depend on what was read. @throws TRANSIENT where Azure told no etag: without one a change that
 * somebody else makes meanwhile would be overwritten.
 */
export function ifMatch(etag: string | undefined, context: CallContext): { readonly 'if-match': string } {
  if (etag !== undefined) return { 'if-match': etag };
  throw failure('TRANSIENT', context, 'it told no etag of what is to change', {
    hint: 'nothing was sent; it is read again',
  });
}

export function failure(
  code: FlannelVpcError['code'],
  context: CallContext,
  text: string,
  options: {
    readonly hint?: string | undefined;
    readonly details?: Readonly<Record<string, unknown>> | undefined;
    readonly retryAfterMs?: number | undefined;
  } = {},
): FlannelVpcError {
  const details = Object.entries({ action: context.action, ...context.details, ...options.details });
  return new FlannelVpcError(code, `Azure could not ${context.doing}: ${text}`, {
    ...options,
    details: Object.fromEntries(details.filter(([, value]) => value !== undefined)),
  });
}

function abortOrDeadline(signal: AbortSignal, context: CallContext): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof FlannelVpcError) return reason;
  if ((reason as { name?: unknown } | undefined)?.name === 'TimeoutError') {
    return failure('TRANSIENT', context, 'no answer before the deadline');
  }
  return isAbortError(reason) ? (reason as Error) : new DOMException(`gave up: ${errorMessage(reason)}`, 'AbortError');
}

/** ARM tells in its text who lacks what, and where. */
function deniedDetails(chain: readonly ArmError[]): Readonly<Record<string, string | undefined>> {
  const text = chain.map(({ message }) => message).join(' ');
  if (!/authoriz|permission/i.test(text)) return {};
  // A linked resource's action comes after that of the resource itself.
  const actions = [...text.matchAll(/action(?:\(s\))? '([^']+)'/g)].map((match) => match[1]);
  const scopes = [...text.matchAll(/scope(?:\(s\))? '([^']+)'/g)].map((match) => match[1]);
  return {
    action: actions.at(-1)?.split(',')[0],
    scope: scopes.at(-1)?.split(',')[0],
    principal: /object id '([^']+)'/.exec(text)?.[1],
  };
}

function hintFor(
  code: FlannelVpcError['code'],
  details: Readonly<Record<string, unknown>>,
  context: CallContext,
): string | undefined {
  if (code === 'PERMISSION_DENIED') {
    const action = String(details['action'] ?? context.action);
    const scope = details['scope'] === undefined ? '' : ` on ${String(details['scope'])}`;
    const who = details['principal'] === undefined ? 'this identity' : `the principal ${String(details['principal'])}`;
    return `allow ${action}${scope} for ${who}: the roles are in providers/azure-vnet/README.md, section Least rights; a new assignment takes minutes`;
  }
  if (code === 'QUOTA_EXCEEDED')
    return 'lease fewer and larger subnets, or give node pools subnets with tables of their own';
  if (code === 'CONFLICT') return 'what stands was changed by somebody else; it is read again';
  return undefined;
}

function retryAfter(headers: Refusal['headers']): number | undefined {
  return retryAfterMs(headers['retry-after']);
}

/** Milliseconds of a Retry-After header in seconds; of a date, by its distance from this machine's clock, too little is known. */
export function retryAfterMs(header: string | undefined): number | undefined {
  const seconds = Number(header);
  return header && Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, 300) * 1000 : undefined;
}

/** "Please retry after 5 seconds." */
function secondsOfText(chain: readonly ArmError[]): number | undefined {
  const seconds = chain.flatMap(({ message }) => /(\d{1,3}) seconds?/i.exec(message)?.[1] ?? [])[0];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
