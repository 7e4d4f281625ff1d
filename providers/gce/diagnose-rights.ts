/**
 * Which rights there are: reads are tried, for what changes something Google is asked whether it would be allowed. Waiting for an
 * operation is tried on one that does not exist: "not found" is the answer to who may.
 */
import { type FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { notChecked } from '../checks.ts';
import type { Finding } from '../diagnosis.ts';
import type { CallOptions } from './clients.mjs';
import { type ClientOf, parsed } from './compute.ts';
import type { Look } from './diagnose-look.ts';
import { parseInstanceId, parseNetworkId } from './names.ts';
import { permissionsSchema } from './schemas.ts';

/** One right to try by a call that changes nothing. */
interface Attempt {
  readonly right: string;
  send(client: ClientOf, options: CallOptions): Promise<unknown>;
}

/** One finding for each right, after one about the credentials. @throws what passes by itself, and an AbortError. */
export async function rightsFindings(look: Look): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const attempt of attempts(look)) {
    const error = await refusalOf(look, attempt);
    if (error && isNotOfRights(error)) return [badCredentials(error)];
    findings.push(error ? denied(attempt.right, error) : allowed(attempt.right));
  }
  findings.unshift({ check: 'credentials', status: 'ok', found: 'Compute Engine knows them' });
  if (look.subject.needs !== 'read') findings.push(...(await writeFindings(look)));
  return findings;
}

function attempts({ project, subject }: Look): readonly Attempt[] {
  const page = { project, maxResults: 1 };
  const own = parseInstanceId(subject.nextHop?.instanceId ?? '');
  const tables = subject.tables.flatMap(({ id }) => parseNetworkId(id)?.project ?? []);
  const [routesIn = project] = tables;
  const manual = { autoPaginate: false };
  return [
    {
      right: 'compute.routes.list',
      send: (client, options) => client('RoutesClient').list({ ...page, project: routesIn }, { ...options, ...manual }),
    },
    ...(own
      ? [
          {
            right: 'compute.instances.get',
            send: (client: ClientOf, options: CallOptions) =>
              client('InstancesClient').get({ project, zone: own.zone, instance: own.name }, options),
          },
        ]
      : []),
    ...(subject.needs === 'write'
      ? []
      : [
          {
            right: 'compute.instances.list',
            async send(client: ClientOf, options: CallOptions) {
              const pages = client('InstancesClient').aggregatedListAsync(page, { ...options, ...manual });
              for await (const _ of pages) return;
            },
          },
        ]),
    ...(subject.needs === 'read'
      ? []
      : [
          {
            right: 'compute.globalOperations.get',
            send: (client: ClientOf, options: CallOptions) =>
              client('GlobalOperationsClient').wait({ project: routesIn, operation: 'flannel-vpc-doctor' }, options),
          },
        ]),
  ];
}

async function refusalOf({ compute, signal }: Look, { right, send }: Attempt): Promise<FlannelVpcError | undefined> {
  try {
    await compute.call({ action: right, doing: `try ${right}` }, signal, send);
    return undefined;
  } catch (error) {
    if (isFlannelVpcError(error, 'NOT_FOUND')) return undefined;
    if (isFlannelVpcError(error, 'PERMISSION_DENIED')) return error;
    throw error;
  }
}

/** Google did not take the caller for good, or its token reaches too little: no right is to blame. */
function isNotOfRights({ details }: FlannelVpcError): boolean {
  return details['status'] !== 403 || details['reason'] === 'insufficientPermissions';
}

async function writeFindings(look: Look): Promise<readonly Finding[]> {
  const own = look.subject.nextHop?.instanceId;
  return [
    ...(await routeRights(look)),
    ...(own === undefined ? [] : await instanceRights(look, own)),
    policyRight(look),
  ];
}

async function routeRights(look: Look): Promise<readonly Finding[]> {
  const rights = ['compute.routes.create', 'compute.routes.delete', 'compute.routes.get'];
  const [table] = look.subject.tables;
  const resource = table?.routes.find(({ origin, handle }) => origin === 'static' && handle !== undefined)?.handle;
  const project = parseNetworkId(table?.id ?? '')?.project;
  if (resource === undefined || project === undefined) {
    return rights.map((right) => notChecked(`iam ${right}`, 'the network has no route to ask about', remedyFor(right)));
  }
  return await tested(look, rights, (client, options) =>
    client('RoutesClient').testIamPermissions(
      { project, resource, testPermissionsRequestResource: { permissions: rights } },
      options,
    ),
  );
}

async function instanceRights(look: Look, id: string): Promise<readonly Finding[]> {
  const rights = ['compute.instances.use'];
  const named = parseInstanceId(id);
  if (!named) return [];
  const { project } = look;
  return await tested(look, rights, (client, options) =>
    client('InstancesClient').testIamPermissions(
      { project, zone: named.zone, resource: named.name, testPermissionsRequestResource: { permissions: rights } },
      options,
    ),
  );
}

async function tested(
  { compute, signal }: Look,
  rights: readonly string[],
  ask: (client: ClientOf, options: CallOptions) => Promise<readonly [unknown, ...unknown[]]>,
): Promise<readonly Finding[]> {
  const context = { action: 'testIamPermissions', doing: `learn of the rights ${rights.join(', ')}` };
  try {
    const [answer] = await compute.call(context, signal, ask);
    const { permissions } = parsed(permissionsSchema, answer, context);
    return rights.map((right) => (permissions.includes(right) ? allowed(right) : denied(right)));
  } catch (error) {
    if (!isFlannelVpcError(error) || error.retry === 'backoff') throw error;
    return rights.map((right) => notChecked(`iam ${right}`, error.message, remedyFor(right)));
  }
}

/** There is no test of rights on a network; but a route that stands was made by somebody who had it. */
function policyRight({ subject }: Look): Finding {
  const right = 'compute.networks.updatePolicy';
  const own = subject.nextHop?.instanceId;
  const ours = subject.tables.some(({ routes }) =>
    routes.some(({ marked, target }) => marked && (target.instanceId === own || target.kind === 'address')),
  );
  if (ours) return { check: `iam ${right}`, status: 'ok', found: 'a route of ours stands: it was allowed then' };
  return notChecked(`iam ${right}`, 'Google has no test of it; a write that it refuses says so', remedyFor(right));
}

function allowed(right: string): Finding {
  return { check: `iam ${right}`, status: 'ok', found: 'allowed' };
}

function denied(right: string, error?: FlannelVpcError): Finding {
  const found = error ? `denied: ${error.message}` : 'denied';
  return { check: `iam ${right}`, status: 'failed', found, remedy: remedyFor(right) };
}

function remedyFor(right: string): string {
  return `let the service account’s role hold ${right}: the lists are in providers/gce/README.md, section Least rights`;
}

/** The finding that stands for all others where Google knows nobody, or nobody could be named to it. */
export function badCredentials(error: FlannelVpcError): Finding {
  const remedy = error.hint ?? 'see providers/gce/README.md, section Credentials';
  return { check: 'credentials', status: 'failed', found: error.message, remedy };
}
