/** Switches IP forwarding of a NIC on. */
import type { Clock } from '../../src/core/clock.ts';
import { withDeadline } from '../../src/core/deadline.ts';
import { FlannelVpcError } from '../../src/core/errors.ts';
import type { NextHop } from '../provider.ts';
import type { Arm } from './arm.ts';
import { type CallContext, ifMatch, unreadable } from './errors.ts';
import { armPath, kinds } from './ids.ts';
import { nicOf, nicRequest } from './nics.ts';
import type { PendingOperations } from './pending.ts';
import { isRawObject } from './raw-json.ts';
import { writeTimeoutMs } from './write.ts';

const nothing: ReadonlySet<string> = new Set();

/**
 * By a PUT of the whole NIC as just read, but for the setting, on condition that it still is: ARM knows no smaller change.
 *
 * @throws INVALID for a NIC of a scale set's instance, whose settings are the scale set's; NOT_FOUND; TRANSIENT when it was changed meanwhile.
 */
export async function enableForwarding(
  { arm, clock, pending }: { readonly arm: Arm; readonly clock: Clock; readonly pending: PendingOperations },
  { nicId }: NextHop,
  signal: AbortSignal,
): Promise<void> {
  const context: CallContext = {
    action: 'Microsoft.Network/networkInterfaces/write',
    doing: `switch on IP forwarding of ${nicId}`,
    details: { nicId },
  };
  const request = nicRequest(nicId);
  if (!request) throw new FlannelVpcError('INVALID', `${JSON.stringify(nicId)} is no id of a network interface`);
  if (!armPath(nicId, kinds.nic)) throw ofScaleSet(nicId);
  const error = () => new DOMException(`not done within ${writeTimeoutMs / 1_000} s`, 'TimeoutError');
  const wait = { clock, until: clock.monotonic() + writeTimeoutMs };
  await withDeadline({ clock, ms: writeTimeoutMs, signal, error }, async (inner) => {
    try {
      const ended = await pending.settle(nicId, context, wait, inner);
      if (ended?.error) throw ended.error;
      const read = { ...context, action: 'Microsoft.Network/networkInterfaces/read' };
      const { body } = await arm.send(read, request, inner);
      const properties = isRawObject(body) ? body['properties'] : undefined;
      if (!isRawObject(body) || !isRawObject(properties) || !nicOf(body)) throw unreadable(read);
      if (properties['enableIPForwarding'] === true) return;
      const etag = body['etag'];
      const answer = await arm.send(
        context,
        {
          ...request,
          method: 'PUT',
          body: { ...body, properties: { ...properties, enableIPForwarding: true } },
          headers: ifMatch(typeof etag === 'string' ? etag : undefined, context),
        },
        inner,
      );
      await pending.finish(nicId, answer, nothing, context, wait, inner);
    } catch (caught) {
      throw pending.explain(nicId, caught, context, inner);
    }
  });
}

function ofScaleSet(nicId: string): FlannelVpcError {
  const [, group, set] = nicId.split('/');
  return new FlannelVpcError('INVALID', `IP forwarding of ${nicId} is a setting of its scale set`, {
    hint: `az vmss update -g ${group} -n ${set} --set virtualMachineProfile.networkProfile.networkInterfaceConfigurations[0].enableIPForwarding=true; then az vmss update-instances -g ${group} -n ${set} --instance-ids '*'`,
    details: { nicId },
  });
}
