/** Which actions are allowed: Azure lists what the caller may do at a resource, and what is missing is worked out from that. */
import * as z from 'zod';
import { type FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { type Arm, apiVersions } from './arm.ts';
import type { CallContext } from './errors.ts';
import { armPath, kinds } from './ids.ts';

/** A role's part of what a caller may do. */
const permissionShape = z.object({
  actions: z.array(z.string()).nullish(),
  notActions: z.array(z.string()).nullish(),
});
export type Permission = z.infer<typeof permissionShape>;

/** More tables are not asked for, one request each. */
const askedTables = 10;

/** One action to look for. */
interface Need {
  readonly action: string;
  /** Where a role that lacks it still does its work. */
  readonly spared?: string | undefined;
}

interface Place {
  /** As findings name it. */
  readonly on: string;
  readonly path: string;
  readonly needs: readonly Need[];
}

/** One finding for each action and resource, after one about the credentials. @throws what passes by itself; PERMISSION_DENIED for want of the right to ask. */
export async function rightsFindings(
  arm: Arm,
  subject: DiagnosisSubject,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const place of placesOf(subject)) {
    try {
      const permissions = await permissionsAt(arm, place, signal);
      if (findings.length === 0) findings.push({ check: 'credentials', status: 'ok', found: 'Azure knows them' });
      findings.push(...place.needs.map((need) => findingOf(place.on, need, permissions)));
    } catch (error) {
      if (isFlannelVpcError(error) && isUnknownCaller(error)) return [noCredentials(error)];
      throw error;
    }
  }
  const unasked = subject.tables.length - askedTables;
  if (unasked > 0) {
    const found = `the rights on ${unasked} more tables were not asked for`;
    findings.push({ check: 'rights tables', status: 'warning', found, remedy: 'assign the role on all of them' });
  }
  return findings;
}

/** Whether a caller with these permissions may do that. Actions know `*`, and no case. Pure. */
export function isAllowed(action: string, permissions: readonly Permission[]): boolean {
  const covers = (patterns: readonly string[] | null | undefined): boolean =>
    (patterns ?? []).some((pattern) => {
      const expression = pattern.replaceAll(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '.*');
      return new RegExp(`^${expression}$`, 'i').test(action);
    });
  return permissions.some(({ actions, notActions }) => covers(actions) && !covers(notActions));
}

function placesOf({ tables, nextHop, needs }: DiagnosisSubject): readonly Place[] {
  const writes = needs !== 'read';
  const table = [
    'Microsoft.Network/routeTables/read',
    ...(writes ? ['Microsoft.Network/routeTables/routes/write', 'Microsoft.Network/routeTables/routes/delete'] : []),
    ...(needs === 'control' ? ['Microsoft.Network/routeTables/write'] : []),
  ];
  const places: Place[] = tables.slice(0, askedTables).flatMap(({ id }) => {
    const path = armPath(id, kinds.table);
    return path ? [{ on: id, path, needs: table.map((action) => ({ action })) }] : [];
  });
  const { nicId = '', subnetId = '', instanceId = '', forwards = false } = nextHop ?? {};
  const spared = forwards ? 'IP forwarding is on already' : undefined;
  const nic = armPath(nicId, kinds.nic);
  if (nic) {
    const write = writes ? [{ action: 'Microsoft.Network/networkInterfaces/write', spared }] : [];
    places.push({ on: nicId, path: nic, needs: [{ action: 'Microsoft.Network/networkInterfaces/read' }, ...write] });
  }
  const machine = armPath(instanceId, kinds.machine);
  if (machine) {
    places.push({ on: instanceId, path: machine, needs: [{ action: 'Microsoft.Compute/virtualMachines/read' }] });
  }
  const subnet = armPath(subnetId, kinds.subnet);
  if (subnet) {
    const join = writes ? [{ action: 'Microsoft.Network/virtualNetworks/subnets/join/action', spared }] : [];
    const read = { action: 'Microsoft.Network/virtualNetworks/subnets/read' };
    places.push({ on: subnetId, path: subnet, needs: [read, ...join] });
  }
  return places;
}

async function permissionsAt(arm: Arm, { on, path }: Place, signal: AbortSignal): Promise<readonly Permission[]> {
  const context: CallContext = {
    action: 'Microsoft.Authorization/permissions/read',
    doing: `read what this identity may do with ${on}`,
  };
  const query = { 'api-version': apiVersions.permissions };
  const bodies = await arm.list(
    context,
    { path: `${path}/providers/Microsoft.Authorization/permissions`, query },
    signal,
  );
  return bodies.flatMap((body) => permissionShape.safeParse(body).data ?? []);
}

function findingOf(on: string, { action, spared }: Need, permissions: readonly Permission[]): Finding {
  const check = `right ${action} (${on})`;
  if (isAllowed(action, permissions)) return { check, status: 'ok', found: 'allowed' };
  const found = `denied${spared === undefined ? '' : `; ${spared}`}`;
  const remedy = `give this identity a role with ${action} there: providers/azure-vnet/README.md, section Least rights`;
  return { check, status: spared === undefined ? 'failed' : 'warning', found, remedy };
}

/** Azure's no to the caller, and not to what it asks for; or no token at all. */
function isUnknownCaller({ code, details }: FlannelVpcError): boolean {
  if (code === 'METADATA_UNAVAILABLE') return true;
  return code === 'PERMISSION_DENIED' && !/authorizationfailed$/i.test(String(details['azureCode']));
}

function noCredentials({ message, hint }: FlannelVpcError): Finding {
  return { check: 'credentials', status: 'failed', found: message, remedy: hint };
}
