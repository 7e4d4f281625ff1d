/**
 * Microsoft Entra ID, as far as a federated workload asks it: over TLS only, because the SDK takes no other authority. It is found by
 * `AZURE_AUTHORITY_HOST`, and trusted by `NODE_EXTRA_CA_CERTS` or the `ca` of an SDK's `tlsOptions`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority } from '../../fabric/certificates.ts';
import { type SimulatorAnswer, type SimulatorRequest, startHttpServer } from '../simulator/http-server.ts';
import type { TokenBook } from './tokens.ts';

export interface Authority {
  readonly url: string;
  /** PEM of what its certificate is signed by. */
  readonly caFile: string;
  /** Every request as `METHOD path`, in order. */
  readonly requests: readonly string[];
  /** Makes a workload whose federated token is in a file, and gives the SDK's variables for it. */
  federate(role: 'controller' | 'reader', name: string): Promise<Readonly<Record<string, string>>>;
  stop(): Promise<void>;
}

export interface AuthorityOptions {
  readonly tenant: string;
  readonly tokens: TokenBook;
  /** Where certificates and federated tokens are kept. */
  readonly folder: string;
  /** Default 127.0.0.1. */
  readonly address?: string | undefined;
}

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export async function startAuthority(options: AuthorityOptions): Promise<Authority> {
  const { tenant, tokens, folder, address = '127.0.0.1' } = options;
  const authority = await createAuthority(join(folder, 'authority'));
  const files = await authority.issue({ name: 'login', hosts: [address], usage: ['serverAuth'] });
  const [cert, key] = await Promise.all([readFile(files.certFile, 'utf8'), readFile(files.keyFile, 'utf8')]);
  /** Callers by client id, and the assertion each is known by. */
  const workloads = new Map<string, { readonly caller: string; readonly assertion: string }>();
  const requests: string[] = [];

  const refuse = (status: number, error: string, text: string): SimulatorAnswer => ({
    status,
    body: {
      error,
      error_description: `${text} Trace ID: ${randomUUID()}`,
      error_codes: [],
      correlation_id: randomUUID(),
    },
  });

  function token(body: string): SimulatorAnswer {
    const form = new URLSearchParams(body);
    if (form.get('grant_type') !== 'client_credentials') {
      return refuse(400, 'unsupported_grant_type', 'AADSTS70003: The app requested an unsupported grant type.');
    }
    if (!/^https:\/\/management\.azure\.com\/{1,2}\.default$/.test(form.get('scope')?.split(' ')[0] ?? '')) {
      return refuse(
        400,
        'invalid_scope',
        `AADSTS70011: The provided value for the input parameter 'scope' is not valid.`,
      );
    }
    const workload = workloads.get(form.get('client_id') ?? '');
    if (!workload) {
      return refuse(400, 'unauthorized_client', 'AADSTS700016: Application was not found in the directory.');
    }
    if (form.get('client_assertion_type') !== assertionType || form.get('client_assertion') !== workload.assertion) {
      return refuse(
        401,
        'invalid_client',
        'AADSTS700213: No matching federated identity record found for the assertion.',
      );
    }
    const { text, expiresAt } = tokens.issue(workload.caller, 3_600_000);
    const left = Math.floor((expiresAt - Date.now()) / 1000);
    return { status: 200, body: { token_type: 'Bearer', expires_in: left, ext_expires_in: left, access_token: text } };
  }

  const server = await startHttpServer({
    address,
    tls: { cert, key },
    async handle({ method, url, body }: SimulatorRequest) {
      requests.push(`${method} ${url.pathname}`);
      const base = `${url.origin}/${tenant}`;
      if (method === 'GET' && url.pathname === `/${tenant}/v2.0/.well-known/openid-configuration`) {
        const document = {
          issuer: `${base}/v2.0`,
          authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
          token_endpoint: `${base}/oauth2/v2.0/token`,
          jwks_uri: `${base}/discovery/v2.0/keys`,
        };
        return { status: 200, body: document };
      }
      if (method === 'POST' && url.pathname === `/${tenant}/oauth2/v2.0/token`) return token(body);
      return refuse(404, 'invalid_request', `AADSTS90002: ${url.pathname} is not served.`);
    },
  });

  return {
    url: server.url,
    caFile: authority.caFile,
    requests,
    async federate(role, name) {
      const caller = `${role}/${name}`;
      const clientId = tokens.clientIdOf(caller);
      const assertion = `eyJhbGciOiJSUzI1NiJ9.${randomBytes(24).toString('base64url')}.${randomBytes(24).toString('base64url')}`;
      workloads.set(clientId, { caller, assertion });
      const file = join(folder, `federated-${role}-${name}`);
      await writeFile(file, assertion, { mode: 0o600 });
      return {
        AZURE_AUTHORITY_HOST: server.url,
        AZURE_TENANT_ID: tenant,
        AZURE_CLIENT_ID: clientId,
        AZURE_FEDERATED_TOKEN_FILE: file,
        NODE_EXTRA_CA_CERTS: authority.caFile,
      };
    },
    stop: () => server.stop(),
  };
}
