/** What an instance's metadata server is told to say. */
import { shorten } from './ids.ts';
import type { MetadataState } from './metadata.ts';
import { macOf } from './seed.ts';
import type { AzureState, Machine, Nic } from './state.ts';
import type { TokenBook } from './tokens.ts';

/** With one identity, the machine's own, whose token names it. */
export function metadataOf(
  { location, subscription }: AzureState,
  tokens: TokenBook,
  instance: { readonly machine: Machine; readonly nic: Nic; readonly scaleSet: string | undefined },
): MetadataState {
  const { machine, nic, scaleSet = '' } = instance;
  const [, , , , resourceGroupName = ''] = machine.id.split('/');
  const [address = ''] = nic.addresses;
  const [prefix4 = '', ...prefixes6] = nic.subnet.prefixes;
  return {
    compute: {
      azEnvironment: 'AzurePublicCloud',
      location,
      name: machine.name,
      resourceGroupName,
      resourceId: machine.id,
      subscriptionId: subscription,
      vmScaleSetName: scaleSet,
      vmId: machine.vmId,
      zone: machine.zone,
    },
    interfaces: [
      {
        mac: macOf(address),
        addresses4: [address],
        subnets4: [prefix4],
        addresses6: nic.addresses.slice(1),
        subnets6: prefixes6,
      },
    ],
    identities: [identityOf(tokens, `node/${shorten(machine.id)}`)],
  };
}

function identityOf(tokens: TokenBook, caller: string): MetadataState['identities'][number] {
  const { text, expiresAt } = tokens.issue(caller);
  const clientId = tokens.clientIdOf(caller);
  return { clientId, objectId: clientId, resourceId: null, token: text, expiresAt };
}
