/** Tokens of managed identities, as the metadata service issues them; the simulator's own front does it for operators. */
import type { SimulatorAnswer, SimulatorRequest } from '../simulator/http-server.ts';
import { isArmAudience, type TokenBook } from './tokens.ts';

/** One identity of a machine. */
export interface Identity {
  readonly clientId: string;
  readonly objectId: string;
  /** ARM id of a user-assigned one; null for the machine's own. */
  readonly resourceId: string | null;
  readonly token: string;
  /** Wall clock milliseconds. */
  readonly expiresAt: number;
}

/** The SDK puts a slash behind it. */
export function isTokenPath(pathname: string): boolean {
  return /^\/metadata\/identity\/oauth2\/token\/?$/.test(pathname);
}

const apiVersions = ['2018-02-01', '2019-08-01', '2019-08-15', '2020-06-01'];

/** What the token endpoint says to a request. */
export function answerTokenRequest(
  identities: readonly Identity[],
  request: SimulatorRequest,
  now: number,
): SimulatorAnswer {
  const { method, headers, url } = request;
  const refuse = (status: number, error: string, description: string): SimulatorAnswer => ({
    status,
    body: { error, error_description: description },
  });
  if (method !== 'GET') return refuse(405, 'bad_request_102', 'Required HTTP method is GET');
  if (String(headers['metadata']).toLowerCase() !== 'true') {
    return refuse(400, 'invalid_request', 'Required metadata header not specified');
  }
  if (headers['x-forwarded-for'] !== undefined) {
    return refuse(400, 'invalid_request', 'Requests through a proxy are refused');
  }
  const query = url.searchParams;
  const known = ['api-version', 'resource', 'client_id', 'object_id', 'mi_res_id', 'msi_res_id', 'bypass_cache'];
  const unknown = [...query.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) return refuse(400, 'invalid_request', `Unknown parameter ${unknown}`);
  if (!apiVersions.includes(query.get('api-version') ?? '')) {
    return refuse(400, 'invalid_request', 'Required query variable api-version is missing or not supported');
  }
  const resource = query.get('resource');
  if (resource === null) return refuse(400, 'invalid_request', "Required query variable 'resource' is missing");
  const found = chosen(identities, query);
  if (typeof found === 'string') return refuse(400, 'invalid_request', found);
  if (!isArmAudience(resource)) {
    return refuse(
      400,
      'invalid_resource',
      `AADSTS500011: The resource principal named ${resource} was not found in the tenant.`,
    );
  }
  const left = Math.max(0, Math.floor((found.expiresAt - now) / 1000));
  return {
    status: 200,
    body: {
      access_token: found.token,
      client_id: found.clientId,
      expires_in: String(left),
      expires_on: String(Math.floor(found.expiresAt / 1000)),
      ext_expires_in: String(left),
      not_before: String(Math.floor(now / 1000) - 300),
      resource,
      token_type: 'Bearer',
    },
  };
}

/** The identity asked for, or why there is none. */
function chosen(identities: readonly Identity[], query: URLSearchParams): Identity | string {
  const clientId = query.get('client_id');
  const objectId = query.get('object_id');
  const resourceId = query.get('mi_res_id') ?? query.get('msi_res_id');
  const asked = [clientId, objectId, resourceId].filter((value) => value !== null);
  if (asked.length > 1) return 'Only one of client_id, object_id and mi_res_id may be given';
  if (asked.length === 1) {
    const found = identities.find(
      (identity) =>
        identity.clientId === clientId?.toLowerCase() ||
        identity.objectId === objectId?.toLowerCase() ||
        (resourceId !== null && identity.resourceId?.toLowerCase() === resourceId.toLowerCase()),
    );
    return found ?? 'Identity not found';
  }
  const own = identities.find(({ resourceId: id }) => id === null);
  if (own) return own;
  const [first, ...others] = identities;
  if (!first) return 'Identity not found';
  if (others.length === 0) return first;
  return 'Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request';
}

/**
 * The token of an operator that is no instance: `/identities/ROLE/NAME/metadata/identity/oauth2/token`. It stands for the managed identity of a machine
 * elsewhere.
 */
export function operatorToken(request: SimulatorRequest, tokens: TokenBook): SimulatorAnswer {
  const [, role, name] = /^\/identities\/(controller|reader)\/([^/]+)\/metadata\/identity\/oauth2\/token\/?$/.exec(
    request.url.pathname,
  ) ?? [undefined, undefined, undefined];
  if (role === undefined || name === undefined) return { status: 404, body: { error: 'Not found' } };
  const caller = `${role}/${decodeURIComponent(name)}`;
  const { text, expiresAt } = tokens.issue(caller);
  const clientId = tokens.clientIdOf(caller);
  const identity: Identity = { clientId, objectId: clientId, resourceId: null, token: text, expiresAt };
  return answerTokenRequest([identity], request, Date.now());
}
