/** Virtual machines and members of scale sets, as far as Microsoft.Compute tells of them. Read only. */
import type { SimulatorAnswer } from '../simulator/http-server.ts';
import { type Context, ok, page } from './answers.ts';
import { armRefusal } from './errors.ts';
import { respelled } from './ids.ts';
import type { JsonObject } from './json.ts';
import type { AzureState, Machine } from './state.ts';

function machineDocument(state: AzureState, machine: Machine, withView: boolean): JsonObject {
  const name = machine.id.split('/').at(-1) ?? '';
  const member = isMember(machine);
  return {
    name: member ? machine.name : name,
    ...(member ? { instanceId: name } : {}),
    // The compute resource provider shouts the group of what a scale set made.
    id: member ? respelled(machine.id) : machine.id,
    type: member ? 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines' : 'Microsoft.Compute/virtualMachines',
    location: state.location,
    zones: [machine.zone],
    properties: {
      vmId: machine.vmId,
      provisioningState: 'Succeeded',
      hardwareProfile: { vmSize: 'Standard_D2s_v5' },
      networkProfile: {
        networkInterfaces: machine.nicIds.map((id, index) => ({
          id: respelled(id),
          properties: { primary: index === 0 },
        })),
      },
      ...(withView ? { instanceView: instanceView(machine) } : {}),
    },
  };
}

export function instanceView({ power, name }: Machine): JsonObject {
  return {
    computerName: name,
    statuses: [
      { code: 'ProvisioningState/succeeded', level: 'Info', displayStatus: 'Provisioning succeeded' },
      { code: `PowerState/${power}`, level: 'Info', displayStatus: `VM ${power}` },
    ],
  };
}

export function getMachine({ state, url }: Context, machine: Machine): SimulatorAnswer {
  const expand = url.searchParams.get('$expand');
  return ok(machineDocument(state, machine, expand?.toLowerCase() === 'instanceview'));
}

export function getInstanceView(_: Context, machine: Machine): SimulatorAnswer {
  return ok(instanceView(machine));
}

/** A list without power states, but with `statusOnly=true` of a whole subscription, or `$expand` beside a filter. */
export function listMachines(context: Context, machines: readonly Machine[]): SimulatorAnswer {
  const { state, url } = context;
  const expand = url.searchParams.get('$expand')?.toLowerCase() === 'instanceview';
  if (expand && url.searchParams.get('$filter') === null && !machines.every(isMember)) {
    throw armRefusal(400, {
      code: 'BadRequest',
      message: "The expand option 'instanceView' is only allowed with a filter.",
    });
  }
  const withView = expand || url.searchParams.get('statusOnly') === 'true';
  return page(
    context,
    machines.map((machine) => machineDocument(state, machine, withView)),
  );
}

export function isMember({ id }: Pick<Machine, 'id'>): boolean {
  return id.includes('/virtualMachineScaleSets/');
}
