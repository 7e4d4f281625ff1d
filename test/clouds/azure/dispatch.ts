/** Who answers for which type and method. */
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { type Context, ok, page } from './answers.ts';
import { effectiveRoutes, operationResult } from './effective-routes.ts';
import { armRefusal, refusals } from './errors.ts';
import { shortId } from './ids.ts';
import { getInstanceView, getMachine, isMember, listMachines } from './machines.ts';
import {
  getNetwork,
  getSecurityGroup,
  getSubnet,
  listNetworks,
  listSecurityGroups,
  listSubnets,
  putSubnet,
} from './networks.ts';
import { getNic, linksOf, listNics, putNic } from './nics.ts';
import { remainingSeconds } from './operations.ts';
import { type Target, targetId } from './paths.ts';
import type { RightsBook } from './rights.ts';
import type { AzureState, Machine, Network, Nic, Table } from './state.ts';
import { deleteRoute, putRoute, putTable } from './table-writes.ts';
import { getRoute, getTable, listRoutes, listTables } from './tables.ts';

/** @throws Refusal */
export async function dispatch(
  context: Context,
  target: Target,
  { method, action, caller }: { readonly method: string; readonly action: string; readonly caller: string },
  rights: RightsBook,
): Promise<SimulatorAnswer> {
  const { state } = context;
  const { type, names } = target;
  const known = <T>(map: ReadonlyMap<string, T>, count = names.length): T => find(map, target, count);
  const [, ...parts] = type.split('/');
  const route = `${method} ${type}${names.length < parts.length ? '/' : ''}`;
  switch (route) {
    case 'GET Microsoft.Network/routeTables/':
      return listTables(context, within<Table>(state.tables, target));
    case 'GET Microsoft.Network/routeTables':
      return getTable(context, known(state.tables));
    case 'PUT Microsoft.Network/routeTables':
      return await putTable(context, known(state.tables));
    case 'DELETE Microsoft.Network/routeTables':
      throw inUse(known(state.tables));
    case 'GET Microsoft.Network/routeTables/routes/':
      return listRoutes(context, known(state.tables));
    case 'GET Microsoft.Network/routeTables/routes':
      return getRoute(context, known(state.tables, 1), names[1] ?? '');
    case 'PUT Microsoft.Network/routeTables/routes':
      return await putRoute(context, parentTable(state, target, 'write'), names[1] ?? '');
    case 'DELETE Microsoft.Network/routeTables/routes':
      return await deleteRoute(context, parentTable(state, target, 'delete'), names[1] ?? '');
    case 'GET Microsoft.Network/networkInterfaces/':
      return listNics(
        context,
        within<Nic>(state.nics, target).filter(({ scaleSet }) => !scaleSet),
      );
    case 'GET Microsoft.Network/networkInterfaces':
      return getNic(context, known(state.nics));
    case 'PUT Microsoft.Network/networkInterfaces': {
      const nic = known(state.nics);
      rights.checkLinks(caller, action, target.scope, linksOf(nic));
      return await putNic(context, nic);
    }
    case 'POST Microsoft.Network/networkInterfaces/effectiveRouteTable/':
      return effectiveRoutes(context, known(state.nics));
    case 'GET Microsoft.Network/networkSecurityGroups/':
      return listSecurityGroups(context, within(state.securityGroups, target));
    case 'GET Microsoft.Network/networkSecurityGroups':
      return getSecurityGroup(context, known(state.securityGroups));
    case 'GET Microsoft.Network/virtualNetworks/':
      return listNetworks(context, within(state.networks, target));
    case 'GET Microsoft.Network/virtualNetworks':
      return getNetwork(context, known(state.networks));
    case 'GET Microsoft.Network/virtualNetworks/subnets/':
      return listSubnets(context, known<Network>(state.networks));
    case 'GET Microsoft.Network/virtualNetworks/subnets':
      return getSubnet(context, subnetOf(state, target));
    case 'PUT Microsoft.Network/virtualNetworks/subnets': {
      const subnet = subnetOf(state, target);
      const table = /"routeTable"\s*:\s*\{[^}]*"id"\s*:\s*"([^"]+)"/.exec(context.body)?.[1];
      const links = table === undefined ? [] : [{ action: 'Microsoft.Network/routeTables/join/action', id: table }];
      rights.checkLinks(caller, action, target.scope, links);
      return await putSubnet(context, subnet);
    }
    case 'GET Microsoft.Network/locations/operations':
      return operationStatus(context, names[1] ?? '');
    case 'GET Microsoft.Network/locations/operationResults':
      return operationResult(context, names[1] ?? '');
    case 'GET Microsoft.Compute/virtualMachines/':
      return listMachines(
        context,
        within<Machine>(state.machines, target).filter((machine) => !isMember(machine)),
      );
    case 'GET Microsoft.Compute/virtualMachines':
    case 'GET Microsoft.Compute/virtualMachineScaleSets/virtualMachines':
      return getMachine(context, known(state.machines));
    case 'GET Microsoft.Compute/virtualMachines/instanceView/':
    case 'GET Microsoft.Compute/virtualMachineScaleSets/virtualMachines/instanceView/':
      return getInstanceView(context, known(state.machines));
    case 'GET Microsoft.Compute/virtualMachineScaleSets/virtualMachines/':
      return listMachines(context, members(state.machines, target));
    case 'GET Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/':
    case 'GET Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces/':
      return listNics(context, members<Nic>(state.nics, target));
    case 'GET Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces':
      return getNic(context, known(state.nics));
    case 'GET Microsoft.Authorization/permissions/':
      return page(context, [
        { actions: [...rights.actionsOf(caller)], notActions: [], dataActions: [], notDataActions: [] },
      ]);
    default:
      throw refusals.badMethod(method, parts.join('/'));
  }
}

/** @throws Refusal 404 in ARM's words for a resource, or a provider's for a part of one */
function find<T>(map: ReadonlyMap<string, T>, target: Target, count: number): T {
  const { subscription, group = '', names, type } = target;
  const found = map.get(shortId({ subscription, group, names: names.slice(0, count) }));
  if (found) return found;
  const [namespace, ...parts] = type.split('/');
  if (count > 1) throw refusals.noChild(targetId(target));
  throw refusals.noResource(`${namespace}/${parts[0]}/${names[0]}`, group);
}

function parentTable(state: AzureState, target: Target, verb: 'write' | 'delete'): Table {
  const { subscription, group = '', names } = target;
  const found = state.tables.get(shortId({ subscription, group, names: names.slice(0, 1) }));
  if (found) return found;
  throw refusals.noParent('routeTables/routes', targetId(target).split('/').slice(0, -2).join('/'), verb);
}

function subnetOf(state: AzureState, target: Target) {
  const network = find(state.networks, target, 1);
  const wanted = target.names[1]?.toLowerCase();
  const subnet = network.subnets.find(({ name }) => name.toLowerCase() === wanted);
  if (!subnet) throw refusals.noChild(targetId(target));
  return subnet;
}

/** Those of the group, or of the whole subscription, in a fixed order. */
function within<T>(map: ReadonlyMap<string, T>, { subscription, group }: Target): readonly T[] {
  const start = `${[subscription, ...(group === undefined ? [] : [group])].join('/').toLowerCase()}/`;
  return [...map]
    .filter(([id]) => id.startsWith(start))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, value]) => value);
}

/** What belongs to a scale set, or to one member of it. @throws Refusal 404 */
function members<T>(map: ReadonlyMap<string, T>, target: Target): readonly T[] {
  const { subscription, group = '', names, type } = target;
  const start = `${shortId({ subscription, group, names })}/`;
  const found = [...map].filter(([id]) => id.startsWith(start)).map(([, value]) => value);
  if (found.length > 0) return found;
  throw refusals.noResource(`${type.split('/').slice(0, 2).join('/')}/${names[0]}`, group);
}

function operationStatus({ state }: Context, id: string): SimulatorAnswer {
  const operation = state.operations.find(id);
  if (!operation) throw armRefusal(404, { code: 'OperationNotFound', message: `Operation ${id} was not found.` });
  const { status, error } = operation;
  if (status === 'InProgress') return ok({ status }, { 'retry-after': String(remainingSeconds(operation)) });
  return ok(error ? { status, error: { code: error.code, message: error.message, details: [] } } : { status });
}

function inUse(table: Table) {
  const name = table.id.split('/').at(-1);
  return armRefusal(400, {
    code: 'InUseRouteTableCannotBeDeleted',
    message: `Route table ${name} is in use and cannot be deleted.`,
  });
}
