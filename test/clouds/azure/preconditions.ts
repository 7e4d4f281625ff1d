/** What comes before every write: a body, If-Match and If-None-Match, and one writer at a time. */
import { type Context, operationUrl } from './answers.ts';
import { refusals } from './errors.ts';
import { type Json, parseJson } from './json.ts';
import type { Operation } from './operations.ts';

/** @throws Refusal 412. `etag` undefined: the resource is not there. */
export function checkPreconditions(context: Context, id: string, etag: string | undefined): void {
  const match = header(context, 'if-match');
  if (match !== undefined && (etag === undefined || (match !== '*' && bare(match) !== bare(etag)))) {
    throw refusals.etagMismatch(id, match);
  }
  const noneMatch = header(context, 'if-none-match');
  if (noneMatch === undefined || etag === undefined) return;
  if (noneMatch === '*' || bare(noneMatch) === bare(etag)) throw refusals.exists(id);
}

/** Both of the cloud's ways to say so: a retryable error to who writes a part, a conflict to who writes the whole. @throws Refusal */
export function checkIdle(context: Context, id: string, writer: Operation | undefined, part: boolean): void {
  if (!writer) return;
  if (part) throw refusals.busyRetryable(`${writer.name} (${writer.id})`, id, writer.endsAt - performance.now());
  throw refusals.busyConflict(operationUrl(context, writer));
}

function header({ headers }: Context, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

function bare(etag: string): string {
  return etag.replace(/^W\//, '');
}

/** @throws Refusal */
export function parseBody(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    throw refusals.badJson('Unexpected character encountered while parsing the body.');
  }
}
