/** Whether pod networks share addresses with what the VNet routes by itself: its own ranges and those of its peers. */
import * as z from 'zod';
import { type Check, notChecked } from '../checks.ts';
import { judgeOverlap, rangesOf } from '../overlap.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { type Arm, apiVersions } from './arm.ts';
import { type CallContext, unreadable } from './errors.ts';
import { armPath, kinds, shortId } from './ids.ts';

const prefixes = z.object({ addressPrefixes: z.array(z.string()).nullish() }).nullish();

const networkShape = z.object({
  properties: z.object({
    addressSpace: prefixes,
    virtualNetworkPeerings: z
      .array(
        z.object({
          name: z.string().nullish(),
          properties: z.object({
            peeringState: z.string().nullish(),
            remoteVirtualNetwork: z.object({ id: z.string() }).nullish(),
            remoteAddressSpace: prefixes,
          }),
        }),
      )
      .nullish(),
  }),
});

/** One check by one read. Throws what that throws. */
export function overlapFindings(
  arm: Arm,
  { networks, networkId }: DiagnosisSubject,
  signal: AbortSignal,
): readonly Check[] {
  const check = 'overlap';
  return [
    {
      check,
      async run() {
        const path = networkId && armPath(networkId, kinds.network);
        if (!path) {
          const remedy = 'run it on a node, or compare the VNet’s ranges with Network by hand';
          return [notChecked(check, 'the VNet is not known', remedy)];
        }
        const context: CallContext = {
          action: 'Microsoft.Network/virtualNetworks/read',
          doing: `read the ranges of ${networkId}`,
        };
        const { body } = await arm.send(context, { path, query: { 'api-version': apiVersions.network } }, signal);
        const network = networkShape.safeParse(body);
        if (!network.success) throw unreadable(context);
        const { addressSpace, virtualNetworkPeerings } = network.data.properties;
        const own = rangesOf(networkId, addressSpace?.addressPrefixes ?? []);
        const peers = (virtualNetworkPeerings ?? []).flatMap(({ name, properties }) => {
          if (properties.peeringState?.toLowerCase() !== 'connected') return [];
          const remote = shortId(properties.remoteVirtualNetwork?.id, kinds.network) ?? 'a VNet';
          return rangesOf(`${remote} behind the peering ${name}`, properties.remoteAddressSpace?.addressPrefixes ?? []);
        });
        return [
          ...judgeOverlap({ check: 'overlap network', what: 'ranges of the VNet' }, networks, own),
          ...judgeOverlap({ check: 'overlap peerings', what: 'ranges of peered VNets' }, networks, peers),
        ];
      },
    },
  ];
}
