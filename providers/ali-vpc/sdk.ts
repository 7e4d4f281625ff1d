/**
 * The parts of Alibaba Cloud's SDK that are used: its generic call, which knows no product, and its credentials. Loaded by `import()`
 * at the first call, so that a process which never makes one does not pay for it.
 */
import credentials from '@alicloud/credentials';
import openApi from '@alicloud/openapi-core';

// Both are CommonJS: what is imported as their default is all that they export.
export const Client = openApi.default;
export const { Config, OpenApiRequest, Params } = openApi.$OpenApiUtil;
export const Credential = credentials.default;
export const CredentialConfig = credentials.Config;

/** What `import()` of this file gives. */
export type Sdk = typeof import('./sdk.ts');
