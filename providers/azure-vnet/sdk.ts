/**
 * The parts of the Azure SDK that are used, and nothing else. Loaded by `import()` at the first call, so that a process which never
 * makes one does not pay for it.
 *
 * Of `arm-network` that is its client's pipeline (credentials, user agent, request ids, proxy) and not its typed operations:
 * these drop properties that they do not know from what is read, and so from what is written back.
 */
export { createNetworkManagement } from '@azure/arm-network/api';
export { ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential } from '@azure/identity';

/** What `import()` of this file gives. */
export type Sdk = typeof import('./sdk.ts');
