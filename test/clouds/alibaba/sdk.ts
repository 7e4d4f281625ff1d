/** The official SDK's generic call against the simulator, with options of its client only, as a test's own hand. */
import credentials from '@alicloud/credentials';
import openApi from '@alicloud/openapi-core';
import type { AccessKey } from './keys.ts';
import { operations } from './operations.ts';
import type { OperationName } from './schemas.ts';

/** What the SDK throws. */
export interface SdkError extends Error {
  readonly code: string;
  readonly statusCode: number;
  readonly retryAfter?: number;
  readonly accessDeniedDetail?: Readonly<Record<string, string>>;
}

export interface SdkOptions {
  /** Of the simulator, such as `http://127.0.0.1:4711`. */
  readonly url: string;
  readonly region: string;
  /** A key, or the instance's role by the SDK's own way to the metadata server. */
  readonly credentials: AccessKey | 'role';
}

/** Parameters by the API's own names; lists and objects as such. */
export type SdkCall = (
  action: OperationName,
  parameters?: Readonly<Record<string, unknown>>,
  options?: { readonly version?: string; readonly form?: boolean },
  // Answers are the cloud's; what is read from them is checked by the test.
  // biome-ignore lint/suspicious/noExplicitAny: see above.
) => Promise<any>;

export function sdkCall({ url, region, credentials: given }: SdkOptions): SdkCall {
  const { Config, OpenApiRequest, Params } = openApi.$OpenApiUtil;
  const key = given === 'role' ? { type: 'ecs_ram_role', disableIMDSv1: true } : keyConfig(given);
  const credential = new credentials.default(new credentials.Config(key));
  const endpoint = new URL(url).host;
  const client = new openApi.default(new Config({ endpoint, protocol: 'http', regionId: region, credential }));
  return async (action, parameters = {}, { version, form = false } = {}) => {
    const params = new Params({
      ...{
        action,
        version: version ?? operations.get(action)?.version,
        protocol: 'http',
        pathname: '/',
        method: 'POST',
      },
      ...{ authType: 'AK', style: 'RPC', reqBodyType: 'formData', bodyType: 'json' },
    });
    const all = openApi.OpenApiUtil.query({ RegionId: region, ...parameters });
    const request = new OpenApiRequest(form ? { body: all } : { query: all });
    const { body } = await client.callApi(params, request, { readTimeout: 5_000 } as Parameters<
      typeof client.callApi
    >[2]);
    return body;
  };
}

function keyConfig({ accessKeyId, accessKeySecret, securityToken }: AccessKey) {
  const type = securityToken === undefined ? 'access_key' : 'sts';
  return { type, accessKeyId, accessKeySecret, ...(securityToken === undefined ? {} : { securityToken }) };
}
