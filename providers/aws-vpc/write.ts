/** The calls that change something: routes, and the source/dest check of a NIC. */
import { FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import { type Cidr, formatCidr } from '../../src/core/ip.ts';
import type { NextHop, RouteChange } from '../provider.ts';
import type { Ec2 } from './ec2.ts';

/**
 * Makes one change by one request. EC2 compares nothing on its side: `expected` can't be made a condition.
 *
 * @throws CONFLICT when the route exists (create) or does not (replace); NOT_FOUND for a table or NIC that is gone.
 */
export async function writeRoute(ec2: Ec2, change: RouteChange, signal: AbortSignal): Promise<void> {
  const { tableId, destination } = change;
  const text = formatCidr(destination);
  const key = { RouteTableId: tableId, ...destinationField(destination) };
  const details = { tableId, destination: text };
  switch (change.action) {
    case 'create': {
      const { nicId } = change.nextHop;
      const context = {
        action: 'ec2:CreateRoute',
        doing: `create the route ${text} via ${nicId} in ${tableId}`,
        details,
      };
      const answer = await ec2.write(context, signal, (client, sdk, send) =>
        client.send(new sdk.CreateRouteCommand({ ...key, NetworkInterfaceId: nicId }), send),
      );
      if (answer.Return === false) {
        throw new FlannelVpcError('TRANSIENT', `EC2 did not create the route ${text} in ${tableId}`, { details });
      }
      return;
    }
    case 'replace': {
      const { nicId } = change.nextHop;
      const context = {
        action: 'ec2:ReplaceRoute',
        doing: `point the route ${text} in ${tableId} at ${nicId}`,
        details,
      };
      await ec2.write(context, signal, (client, sdk, send) =>
        client.send(new sdk.ReplaceRouteCommand({ ...key, NetworkInterfaceId: nicId }), send),
      );
      return;
    }
    case 'delete': {
      const context = { action: 'ec2:DeleteRoute', doing: `delete the route ${text} from ${tableId}`, details };
      try {
        await ec2.write(context, signal, (client, sdk, send) => client.send(new sdk.DeleteRouteCommand(key), send));
      } catch (error) {
        if (!isFlannelVpcError(error, 'NOT_FOUND') || error.details['awsCode'] !== 'InvalidRoute.NotFound') throw error;
      }
    }
  }
}

/** Lets the NIC forward what is not its own. By NIC: the instance's attribute would act on its first NIC only. */
export async function disableSourceDestCheck(ec2: Ec2, { nicId }: NextHop, signal: AbortSignal): Promise<void> {
  const context = {
    action: 'ec2:ModifyNetworkInterfaceAttribute',
    doing: `switch off the source/dest check of ${nicId}`,
    details: { nicId },
  };
  await ec2.write(context, signal, (client, sdk, send) =>
    client.send(
      new sdk.ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: nicId, SourceDestCheck: { Value: false } }),
      send,
    ),
  );
}

function destinationField(destination: Cidr): { DestinationCidrBlock: string } | { DestinationIpv6CidrBlock: string } {
  const text = formatCidr(destination);
  return destination.family === 4 ? { DestinationCidrBlock: text } : { DestinationIpv6CidrBlock: text };
}
