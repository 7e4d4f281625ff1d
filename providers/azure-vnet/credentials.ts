/** Who this program is to ARM: one credential, chosen by the environment, and never by trying them all. */
import { errorMessage, FlannelVpcError, isAbortError, isFlannelVpcError } from '../../src/core/errors.ts';
import {
  authorityEndpoint,
  type Environment,
  identityEndpoint,
  isKnownAuthority,
  metadataEndpoint,
} from './environment.ts';
import { ManagedIdentity } from './managed-identity.ts';
import type { Sdk } from './sdk.ts';

/** A token and when it ends, wall clock milliseconds. */
export interface Token {
  readonly token: string;
  readonly expiresOnTimestamp: number;
}

/** What the SDK's pipeline asks for tokens. */
export interface Credential {
  /** @throws PERMISSION_DENIED, METADATA_UNAVAILABLE, TRANSIENT; an AbortError. */
  getToken(scopes: string | string[], options?: { readonly abortSignal?: unknown }): Promise<Token>;
  close(): void;
}

/** How this program proves who it is. */
export type CredentialKind = 'workload-identity' | 'client-secret' | 'managed-identity';

/** Which credential the environment asks for. */
export function credentialKind(environment: Environment): CredentialKind {
  if (environment['AZURE_FEDERATED_TOKEN_FILE']) return 'workload-identity';
  return environment['AZURE_CLIENT_SECRET'] ? 'client-secret' : 'managed-identity';
}

/** Makes it; nothing is asked yet. @throws CONFIG_INVALID naming the variable that is missing. */
export function createCredential(sdk: Sdk, environment: Environment): Credential {
  const kind = credentialKind(environment);
  if (kind === 'managed-identity') {
    const endpoint = identityEndpoint(environment) ?? metadataEndpoint(environment);
    const identity = new ManagedIdentity({ sdk, endpoint, clientId: environment['AZURE_CLIENT_ID'] || undefined });
    return guarded(
      kind,
      (scope) => identity.getToken(scope),
      () => identity.close(),
    );
  }
  const clientId = required(environment, 'AZURE_CLIENT_ID', kind);
  const tenantId = required(environment, 'AZURE_TENANT_ID', kind);
  const authority = authorityEndpoint(environment);
  const options = {
    retryOptions: { maxRetries: 0 },
    authorityHost: authority?.origin ?? 'https://login.microsoftonline.com',
    // Else the SDK would ask the public cloud whether it knows the authority.
    disableInstanceDiscovery: authority !== undefined && !isKnownAuthority(authority),
  };
  if (kind === 'workload-identity') {
    const tokenFilePath = required(environment, 'AZURE_FEDERATED_TOKEN_FILE', kind);
    const credential = new sdk.WorkloadIdentityCredential({ ...options, clientId, tenantId, tokenFilePath });
    return guarded(kind, (scope) => credential.getToken(scope));
  }
  const secret = required(environment, 'AZURE_CLIENT_SECRET', kind);
  const credential = new sdk.ClientSecretCredential(tenantId, clientId, secret, options);
  return guarded(kind, (scope) => credential.getToken(scope));
}

/** The credential with its failures in our words, and given up when the caller's signal fires. */
function guarded(
  kind: CredentialKind,
  ask: (scope: string) => Promise<Token | null>,
  close: () => void = () => {},
): Credential {
  return {
    async getToken(scopes, options) {
      const scope = Array.isArray(scopes) ? (scopes[0] ?? '') : scopes;
      try {
        const token = await unlessAborted(ask(scope), options?.abortSignal as AbortSignal | undefined);
        if (token) return token;
      } catch (error) {
        if (isFlannelVpcError(error) || isAbortError(error)) throw error;
        throw refused(kind, error);
      }
      throw refused(kind, undefined);
    },
    close,
  };
}

/** The SDK's credentials do not all look at a signal. What one is still doing then ends by its own deadline. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The SDK's own text alone: its errors carry requests, and those carry secrets. */
function refused(kind: CredentialKind, error: unknown): FlannelVpcError {
  const text = error === undefined ? 'no token' : (errorMessage(error).split('\n', 1)[0] ?? '').slice(0, 500);
  const message = `${names[kind]} gave no token: ${text}`;
  // Errors of Microsoft Entra ID have numbers; what has none never got there.
  const judged = /AADSTS\d+|invalid_client|unauthorized_client|invalid_request|ENOENT|No content on the file/.test(
    text,
  );
  if (!judged) {
    const hint = 'see whether this machine reaches the authority (AZURE_AUTHORITY_HOST), and its name service';
    return new FlannelVpcError('TRANSIENT', message, { hint });
  }
  return new FlannelVpcError('PERMISSION_DENIED', message, { hint: hints[kind] });
}

const names: Readonly<Record<CredentialKind, string>> = {
  'workload-identity': 'the workload identity',
  'client-secret': 'the client secret',
  'managed-identity': 'the managed identity',
};

const hints: Readonly<Record<CredentialKind, string>> = {
  'workload-identity':
    'compare AZURE_TENANT_ID, AZURE_CLIENT_ID and the service account with the federated credential of the identity (az identity federated-credential list)',
  'client-secret': 'correct AZURE_TENANT_ID, AZURE_CLIENT_ID or AZURE_CLIENT_SECRET; secrets run out',
  'managed-identity': 'give this machine an identity (az vm identity assign), or name one by AZURE_CLIENT_ID',
};

function required(environment: Environment, variable: string, kind: CredentialKind): string {
  const value = environment[variable];
  if (value) return value;
  const hint = `${names[kind]} takes AZURE_TENANT_ID and AZURE_CLIENT_ID; without them unset the variable that asks for it`;
  throw new FlannelVpcError('CONFIG_INVALID', `${variable} is not set`, { hint });
}
