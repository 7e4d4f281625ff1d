/** The methods of the API that are modelled, by HTTP method and path ("REST Resource" pages of the reference, v1). */
import type { Operation } from '../simulator/front.ts';
import type { SimulatorRequest } from '../simulator/http-server.ts';
import { refusals } from './errors.ts';

export interface GceOperation extends Operation {
  readonly project: string;
  /** Zone or region of the path; empty where there is none. */
  readonly place: string;
  /** The resource's own name; empty where there is none. */
  readonly resource: string;
}

interface Method {
  readonly name: string;
  readonly http: 'GET' | 'POST' | 'DELETE';
  /** After `projects/PROJECT/`. Two groups are place and name; one is the name, or the place with `placed`. */
  readonly path: RegExp;
  readonly placed?: boolean;
  readonly changes?: boolean;
}

const one = '([^/]+)';

const methods: readonly Method[] = [
  { name: 'projects.get', http: 'GET', path: /^$/ },
  { name: 'zones.list', http: 'GET', path: /^zones$/ },
  { name: 'routes.list', http: 'GET', path: /^global\/routes$/ },
  { name: 'routes.insert', http: 'POST', path: /^global\/routes$/, changes: true },
  { name: 'routes.get', http: 'GET', path: new RegExp(`^global/routes/${one}$`) },
  { name: 'routes.delete', http: 'DELETE', path: new RegExp(`^global/routes/${one}$`), changes: true },
  { name: 'routes.testIamPermissions', http: 'POST', path: new RegExp(`^global/routes/${one}/testIamPermissions$`) },
  { name: 'globalOperations.get', http: 'GET', path: new RegExp(`^global/operations/${one}$`) },
  { name: 'globalOperations.wait', http: 'POST', path: new RegExp(`^global/operations/${one}/wait$`) },
  { name: 'networks.list', http: 'GET', path: /^global\/networks$/ },
  { name: 'networks.get', http: 'GET', path: new RegExp(`^global/networks/${one}$`) },
  { name: 'firewalls.list', http: 'GET', path: /^global\/firewalls$/ },
  { name: 'subnetworks.aggregatedList', http: 'GET', path: /^aggregated\/subnetworks$/ },
  { name: 'subnetworks.list', http: 'GET', path: new RegExp(`^regions/${one}/subnetworks$`), placed: true },
  { name: 'subnetworks.get', http: 'GET', path: new RegExp(`^regions/${one}/subnetworks/${one}$`) },
  { name: 'instances.aggregatedList', http: 'GET', path: /^aggregated\/instances$/ },
  { name: 'instances.list', http: 'GET', path: new RegExp(`^zones/${one}/instances$`), placed: true },
  { name: 'instances.get', http: 'GET', path: new RegExp(`^zones/${one}/instances/${one}$`) },
  {
    name: 'instances.testIamPermissions',
    http: 'POST',
    path: new RegExp(`^zones/${one}/instances/${one}/testIamPermissions$`),
  },
];

/** @throws Refusal for what the API does not have. */
export function gceOperationOf({ method, url }: SimulatorRequest): GceOperation {
  const { pathname } = url;
  const aside = { changes: false, aside: true, place: '', resource: '' };
  if (pathname === '/v1/token' && method === 'POST') return { ...aside, name: 'sts.token', project: '' };
  const [, number] = /^\/cloudresourcemanager\/v1\/projects\/(\d+)$/.exec(pathname) ?? [];
  if (number !== undefined) return { ...aside, name: 'cloudresourcemanager.projects.get', project: number };
  const [, project, rest = ''] = /^\/compute\/v1\/projects\/([^/]+)(?:\/(.*))?$/.exec(pathname) ?? [];
  if (project === undefined) throw refusals.noSuchUrl(pathname);
  for (const { name, http, path, placed, changes = false } of methods) {
    const match = http === method ? path.exec(rest) : null;
    if (!match) continue;
    const parts = match.slice(1).map(decodeURIComponent);
    const [place = '', resource = ''] = parts.length === 2 || placed ? parts : ['', ...parts];
    return { name: `compute.${name}`, project: decodeURIComponent(project), place, resource, changes };
  }
  throw refusals.noSuchUrl(`${method} ${pathname}`);
}
