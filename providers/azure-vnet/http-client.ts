/**
 * HTTP below the SDK's pipeline, in place of its own: an answer of bounded length, unpacked as well, whose end is seen. The SDK's own
 * waits for ever for a compressed answer whose connection breaks, and unpacks whatever it is sent.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { longestAnswer, readBody } from '../http-body.ts';
import type { Sdk } from './sdk.ts';
import { SdkHeaders } from './sdk-headers.ts';

/** The SDK's seam for HTTP. */
export type HttpClient = NonNullable<NonNullable<Parameters<Sdk['createNetworkManagement']>[2]>['httpClient']>;

const agents = { 'http:': new HttpAgent({ keepAlive: true }), 'https:': new HttpsAgent({ keepAlive: true }) } as const;
const unpackers = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;

export const httpClient: HttpClient = {
  async sendRequest(request) {
    const url = new URL(request.url);
    if (url.protocol !== 'https:' && !request.allowInsecureConnection)
      throw new Error('plain http is not allowed here');
    const body = request.body;
    if (body !== undefined && body !== null && typeof body !== 'string') throw new TypeError('only texts are sent');
    const bytes = Buffer.from(body ?? '');
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const sent = send(
      url,
      {
        method: request.method,
        headers: { ...request.headers.toJSON(), ...(body ? { 'content-length': String(bytes.length) } : {}) },
        // A proxy's, where the environment names one.
        agent: (request.agent as HttpAgent | undefined) ?? agents[url.protocol as keyof typeof agents],
        // The SDK's own type of signals, which are Node's.
        ...(request.abortSignal ? { signal: request.abortSignal as AbortSignal } : {}),
      },
      resolve,
    );
    sent.on('error', reject);
    sent.end(bytes);
    const answer = await promise;
    const headers = new SdkHeaders();
    for (const [name, value] of Object.entries(answer.headers)) headers.set(name, [value].flat()[0] ?? '');
    const packed = await readBody(answer, longestAnswer);
    const text = await unpacked(packed, headers.get('content-encoding'));
    return { request, status: answer.statusCode ?? 0, headers, bodyAsText: text };
  },
};

async function unpacked(bytes: Buffer, encoding: string | undefined): Promise<string> {
  if ((encoding !== 'gzip' && encoding !== 'deflate') || bytes.length === 0) return bytes.toString('utf8');
  return (await unpackers[encoding](bytes, { maxOutputLength: longestAnswer })).toString('utf8');
}
