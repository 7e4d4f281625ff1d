/** The SDK's client of ARM: who it is, where ARM is, and what is left out of its pipeline. */
import type { Credential } from './credentials.ts';
import { httpClient } from './http-client.ts';
import type { Sdk } from './sdk.ts';

export type ArmClient = ReturnType<Sdk['createNetworkManagement']>;

/** The client, without retries and redirects, on HTTP of our own. */
export function connect(sdk: Sdk, credential: Credential, endpoint: string, scope: string): ArmClient {
  const insecure = endpoint.startsWith('http:');
  // Only ids in full are used, so the client is of no subscription.
  const client = sdk.createNetworkManagement(credential, '', {
    endpoint,
    credentials: { scopes: [scope] },
    // One layer retries, in providers/budget.ts; two would multiply.
    retryOptions: { maxRetries: 0 },
    redirectOptions: { maxRetries: 0 },
    userAgentOptions: { userAgentPrefix: 'flannel-vpc' },
    httpClient,
    allowInsecureConnection: insecure,
  });
  if (insecure) {
    // The SDK sends no token over plain http, to whomever. `environment.ts` lets it through to private addresses alone.
    client.pipeline.removePolicy({ name: 'bearerTokenAuthenticationPolicy' });
    client.pipeline.addPolicy({
      name: 'bearerTokenToPrivateAddress',
      async sendRequest(request, next) {
        const { token } = await credential.getToken(scope, { abortSignal: request.abortSignal });
        request.headers.set('authorization', `Bearer ${token}`);
        return await next(request);
      },
    });
  }
  return client;
}
