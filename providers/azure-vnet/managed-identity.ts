/**
 * Tokens of a virtual machine's managed identity, by the SDK's credential, over our own plain HTTP to the metadata server: no proxy, a
 * deadline, an answer of limited size, and advice where it fails.
 *
 * The SDK (msal-node) keeps its tokens, its transport and its server's address in statics of a class: the first credential's serve all
 * of a process. So each of ours has a client id of its own in there, by which the transport, one for all, knows who is asking.
 */
import type { ManagedIdentityCredential } from '@azure/identity';
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { MetadataHttp } from '../metadata-http.ts';
import type { Sdk } from './sdk.ts';
import { SdkHeaders } from './sdk-headers.ts';

type CredentialOptions = NonNullable<ConstructorParameters<typeof ManagedIdentityCredential>[0]>;
/** The SDK's seam for HTTP. */
type Transport = NonNullable<CredentialOptions['httpClient']>;

export interface ManagedIdentityOptions {
  readonly sdk: Sdk;
  /** Where tokens are asked for; the path is the service's own. */
  readonly endpoint: URL;
  /** Which of several user-assigned identities; undefined for the only one, or the machine's own. */
  readonly clientId: string | undefined;
}

interface Asker {
  readonly server: MetadataHttp;
  /** Where the service is on the server; private endpoints may have it below a path. */
  readonly path: string;
  readonly clientId: string | undefined;
  /** Why the last request brought no token, if it did not. */
  failure: FlannelVpcError | undefined;
}

const askers = new Map<string, Asker>();
let asked = 0;

export class ManagedIdentity {
  readonly #alias: string;
  readonly #asker: Asker;
  readonly #credential: ManagedIdentityCredential;

  constructor({ sdk, endpoint, clientId }: ManagedIdentityOptions) {
    this.#alias = `flannel-vpc-${asked++}`;
    const path = `${endpoint.pathname.replace(/\/$/, '')}/metadata/identity/oauth2/token`;
    this.#asker = { server: metadataServer(endpoint), path, clientId, failure: undefined };
    askers.set(this.#alias, this.#asker);
    this.#credential = new sdk.ManagedIdentityCredential({
      clientId: this.#alias,
      httpClient: transport,
      // One layer retries, in providers/budget.ts. The SDK would for minutes.
      retryOptions: { maxRetries: 0 },
      // Not used for managed identities, but refused when the environment's is plain http.
      authorityHost: 'https://login.microsoftonline.com',
    });
  }

  /** @throws METADATA_UNAVAILABLE, PERMISSION_DENIED, TRANSIENT, each with advice; what the SDK throws for an answer that it can't read. */
  async getToken(scope: string): Promise<Awaited<ReturnType<ManagedIdentityCredential['getToken']>>> {
    this.#asker.failure = undefined;
    try {
      return await this.#credential.getToken(scope);
    } catch (error) {
      throw this.#asker.failure ?? error;
    }
  }

  close(): void {
    askers.delete(this.#alias);
    this.#asker.server.close();
  }
}

const transport: Transport = {
  async sendRequest(request) {
    const url = new URL(request.url);
    const asker = askers.get(url.searchParams.get('client_id') ?? '');
    if (!asker) throw new FlannelVpcError('INTERNAL', 'a token is asked for by a credential that was closed');
    const { server, path, clientId } = asker;
    if (clientId) url.searchParams.set('client_id', clientId);
    else url.searchParams.delete('client_id');
    // The SDK's own type of signals, which are Node's.
    const signals = request.abortSignal ? [request.abortSignal as AbortSignal] : [];
    try {
      const answer = await server.send(`${path}${url.search}`, AbortSignal.any(signals));
      if (answer.status !== 200) asker.failure = refusal(answer.status, answer.body, clientId);
      const headers = new SdkHeaders();
      if (answer.headers['content-type']) headers.set('content-type', answer.headers['content-type']);
      return { request, status: answer.status, headers, bodyAsText: answer.body };
    } catch (error) {
      if (isFlannelVpcError(error)) asker.failure = error;
      throw error;
    }
  },
};

function metadataServer(endpoint: URL): MetadataHttp {
  return new MetadataHttp({
    endpoint,
    cloud: 'Azure',
    headers: { Metadata: 'true' },
    // The service may have to ask the directory for a new token.
    timeoutMs: 5_000,
    hints: {
      silent: 'in a container use the host’s network; else see whether a firewall drops 169.254.169.254',
      unreachable:
        'managed identities are for machines of Azure; elsewhere give AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE (workload identity)',
      refused: 'try again',
    },
  });
}

/** From "How to use managed identities on an Azure VM to acquire an access token", error handling. */
function refusal(status: number, body: string, clientId: string | undefined): FlannelVpcError {
  const said = /"error_description"\s*:\s*"((?:[^"\\]|\\.){0,300})/.exec(body)?.[1];
  const text = `the metadata server gave no token: HTTP status ${status}${said ? ` (${said})` : ''}`;
  const details = { status };
  if (status === 400 || status === 403) {
    const hint = clientId
      ? `assign the identity ${clientId} of AZURE_CLIENT_ID to this machine (az vm identity assign), or correct it`
      : 'give this machine an identity (az vm identity assign); where it has several, name one by AZURE_CLIENT_ID';
    return new FlannelVpcError('PERMISSION_DENIED', text, { hint, details });
  }
  return new FlannelVpcError('TRANSIENT', text, {
    hint: 'wait: the identity service is busy or being updated',
    details,
  });
}
