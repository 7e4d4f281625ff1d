/** What is used of the Google Cloud SDK's clients. Answers are `unknown`: they pass a schema before anything is made of them. */

/** Options of a client. */
export interface ClientOptions {
  readonly apiEndpoint?: string;
  readonly port?: number;
  readonly protocol?: 'http' | 'https';
  /** Who sends requests and puts credentials on them. */
  readonly authClient?: AuthClient;
  readonly scopes?: readonly string[];
}

/** The part of an auth client that the SDK's REST transport uses. */
export interface AuthClient {
  getRequestHeaders(url?: string): Promise<Headers>;
  fetch(url: string, request: FetchRequest): Promise<FetchAnswer>;
}

export interface FetchRequest {
  readonly method: string;
  readonly headers: Headers;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface FetchAnswer {
  readonly ok: boolean;
  readonly status: number;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Options of one call. */
export interface CallOptions {
  /** Null: no retries by the SDK. */
  readonly retry: null;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
  readonly autoPaginate?: boolean;
}

/** The first element is the answer. */
export type Answer = Promise<readonly [unknown, ...unknown[]]>;

/** Of a page: its items, the request for the next one, and the answer as it came. */
export type Page = Promise<readonly [unknown, unknown, unknown]>;

interface PageRequest {
  readonly project: string;
  readonly maxResults: number;
  readonly pageToken?: string;
}

declare class Client {
  constructor(options: ClientOptions);
  /** Google's library of credentials, when it was given no `authClient`. Takes content of any kind that it knows. */
  readonly auth: { fromJSON(content: object): Pick<AuthClient, 'getRequestHeaders'> };
  close(): Promise<void>;
}

/** Permissions of which to tell those that the caller has. */
interface PermissionsTest {
  readonly project: string;
  readonly resource: string;
  readonly testPermissionsRequestResource: { readonly permissions: readonly string[] };
}

export class RoutesClient extends Client {
  get(request: { readonly project: string; readonly route: string }, options: CallOptions): Answer;
  list(request: PageRequest, options: CallOptions): Page;
  insert(
    request: { readonly project: string; readonly requestId: string; readonly routeResource: object },
    options: CallOptions,
  ): Answer;
  delete(
    request: { readonly project: string; readonly requestId: string; readonly route: string },
    options: CallOptions,
  ): Answer;
  testIamPermissions(request: PermissionsTest, options: CallOptions): Answer;
}

export class GlobalOperationsClient extends Client {
  wait(request: { readonly project: string; readonly operation: string }, options: CallOptions): Answer;
}

export class InstancesClient extends Client {
  get(
    request: { readonly project: string; readonly zone: string; readonly instance: string },
    options: CallOptions,
  ): Answer;
  aggregatedListAsync(request: PageRequest, options: CallOptions): AsyncIterable<readonly [string, unknown]>;
  testIamPermissions(request: PermissionsTest & { readonly zone: string }, options: CallOptions): Answer;
}

export class NetworksClient extends Client {
  get(request: { readonly project: string; readonly network: string }, options: CallOptions): Answer;
}

export class SubnetworksClient extends Client {
  aggregatedListAsync(request: PageRequest, options: CallOptions): AsyncIterable<readonly [string, unknown]>;
}

export class FirewallsClient extends Client {
  list(request: PageRequest, options: CallOptions): Page;
}
