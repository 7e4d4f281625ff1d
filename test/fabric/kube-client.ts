/** Plain requests to a Kubernetes API server, as one of its users, and the files other programs read to be that user. */
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { CertificateFiles } from './certificates.ts';

/** By certificate or by token; without either, the server's anonymous user. */
export interface KubeUser {
  readonly certificate?: CertificateFiles;
  readonly token?: string;
}

export interface KubeServerAddress {
  readonly url: string;
  readonly caFile: string;
}

export interface KubeRequest {
  /** Default GET. */
  readonly method?: string;
  /** Path and query, such as `/api/v1/nodes?limit=1`. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`; patches have types of their own. */
  readonly contentType?: string;
}

export interface KubeResponse {
  readonly status: number;
  readonly body: string;
}

const requestTimeoutMs = 30_000;

/** Sends one request and reads the answer, whatever its status. @throws Error when no answer comes. */
export async function sendRequest(
  { url, caFile }: KubeServerAddress,
  { certificate, token }: KubeUser,
  { method = 'GET', path, body, contentType = 'application/json' }: KubeRequest,
): Promise<KubeResponse> {
  const options = {
    method,
    ca: await readFile(caFile),
    ...(certificate && { cert: await readFile(certificate.certFile), key: await readFile(certificate.keyFile) }),
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': contentType }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    agent: false,
    timeout: requestTimeoutMs,
  };
  return await new Promise((resolve, reject) => {
    const sent = request(new URL(path, url), options, (response) => {
      text(response).then((content) => resolve({ status: response.statusCode ?? 0, body: content }), reject);
    });
    sent.once('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer in ${requestTimeoutMs} ms`)));
    sent.once('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Writes a kubeconfig whose only context is this server and this user. JSON, which is YAML as well. */
export async function writeKubeconfig(
  path: string,
  { url, caFile }: KubeServerAddress,
  { certificate, token }: KubeUser,
): Promise<void> {
  const user = {
    ...(certificate && { 'client-certificate': certificate.certFile, 'client-key': certificate.keyFile }),
    ...(token !== undefined && { token }),
  };
  const config = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': caFile } }],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
  await writeFile(path, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
}
