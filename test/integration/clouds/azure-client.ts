/** Raw HTTP to the simulated Azure, and its documents as a careful client writes them back. */
import { parseJson } from '../../clouds/azure/json.ts';
import type { AzureWorld } from '../../clouds/azure/world.ts';

export interface Asked {
  readonly method?: string;
  /** From the root, or a whole URL as answers have it. */
  readonly path: string;
  readonly version?: string | null;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default `test`; null sends no token. */
  readonly caller?: string | null;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member
  readonly body: any;
}

export async function ask(world: AzureWorld, asked: Asked): Promise<Answered> {
  const { method = 'GET', path, version = '2026-01-01', body, headers = {}, caller = 'test' } = asked;
  const url = new URL(path.startsWith('http') ? path : `${world.url}${path}`);
  if (version !== null && !url.searchParams.has('api-version')) url.searchParams.set('api-version', version);
  const response = await fetch(url, {
    method,
    headers: {
      ...(caller === null ? {} : { authorization: `Bearer ${world.tokens.issue(caller).text}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : parseJson(text) };
}

/** Asks an operation until it has ended. */
export async function ended(world: AzureWorld, answer: Answered): Promise<Answered> {
  const url = answer.headers.get('azure-asyncoperation');
  if (url === null) throw new Error(`no operation behind ${answer.status} ${JSON.stringify(answer.body)}`);
  for (;;) {
    const polled = await ask(world, { path: url });
    if (polled.body.status !== 'InProgress') return polled;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Path of a short id of a table, NIC, subnet or machine. */
export function pathOf(kind: 'table' | 'nic' | 'subnet' | 'machine', id: string): string {
  const [subscription, group, name, inner] = id.split('/');
  const start = `/subscriptions/${subscription}/resourceGroups/${group}/providers`;
  switch (kind) {
    case 'table':
      return `${start}/Microsoft.Network/routeTables/${name}`;
    case 'nic':
      return `${start}/Microsoft.Network/networkInterfaces/${name}`;
    case 'subnet':
      return `${start}/Microsoft.Network/virtualNetworks/${name}/subnets/${inner}`;
    case 'machine':
      return `${start}/Microsoft.Compute/virtualMachines/${name}`;
  }
}

/** A route to an address. */
export function route(addressPrefix: string, nextHopIpAddress: string, more: object = {}): { properties: object } {
  return { properties: { addressPrefix, nextHopType: 'VirtualAppliance', nextHopIpAddress, ...more } };
}
