/**
 * Checks requests signed by ACS3-HMAC-SHA256, as "V3 request structure and signature" of the public OpenAPI documentation
 * describes it: canonical request, its hash, an HMAC by the key's secret.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { SimulatorRequest } from '../simulator/http-server.ts';
import { refusals } from './refusals.ts';

const scheme = 'ACS3-HMAC-SHA256';
/** Requests dated further off than this are refused, milliseconds. */
const dateToleranceMs = 15 * 60_000;
/** Must be there, and be signed. */
const neededHeaders = [
  'host',
  'x-acs-action',
  'x-acs-version',
  'x-acs-date',
  'x-acs-signature-nonce',
  'x-acs-content-sha256',
] as const;

export interface Signature {
  readonly accessKeyId: string;
  readonly securityToken: string | undefined;
  readonly nonce: string;
  /** @throws Refusal SignatureDoesNotMatch. */
  verify(secret: string): void;
}

/** What the request claims. @throws Refusal for one that is not signed, not completely, or too long ago. */
export function signatureOf(request: SimulatorRequest, now: number): Signature {
  const header = headerOf(request, 'authorization') ?? '';
  const found = /^ACS3-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/.exec(
    header,
  );
  if (!found) throw refusals.unsigned();
  const [, accessKeyId = '', names = '', claimed = ''] = found;
  const signed = names.split(';');
  const sent = Object.keys(request.headers).filter((name) => name.startsWith('x-acs-'));
  if ([...neededHeaders, ...sent].some((name) => !signed.includes(name))) throw refusals.unsigned();
  if (neededHeaders.some((name) => !headerOf(request, name))) throw refusals.unsigned();
  const date = headerOf(request, 'x-acs-date') ?? '';
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(date) ? Date.parse(date) : Number.NaN;
  if (!(Math.abs(now - at) <= dateToleranceMs)) throw refusals.badDate();
  const bodyHash = createHash('sha256').update(request.body).digest('hex');
  if (headerOf(request, 'x-acs-content-sha256') !== bodyHash) throw refusals.badSignature();
  return {
    accessKeyId,
    securityToken: headerOf(request, 'x-acs-security-token'),
    nonce: headerOf(request, 'x-acs-signature-nonce') ?? '',
    verify(secret) {
      const hashed = createHash('sha256')
        .update(canonicalRequest(request, signed, bodyHash))
        .digest('hex');
      const expected = createHmac('sha256', secret).update(`${scheme}\n${hashed}`).digest('hex');
      if (!timingSafeEqual(Buffer.from(expected), Buffer.from(claimed))) throw refusals.badSignature();
    },
  };
}

function canonicalRequest(request: SimulatorRequest, signed: readonly string[], bodyHash: string): string {
  const query = [...request.url.searchParams]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
  const headers = [...signed].sort().map((name) => `${name}:${(headerOf(request, name) ?? '').trim()}\n`);
  return [request.method, request.url.pathname, query, headers.join(''), signed.join(';'), bodyHash].join('\n');
}

/** RFC 3986: all but letters, digits and `-_.~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function headerOf(request: SimulatorRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}
