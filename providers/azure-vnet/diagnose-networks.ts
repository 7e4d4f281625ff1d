/** Whether pod networks share addresses with what the VNet routes by itself: its own ranges and those of its peers. */
import * as z from 'zod';
import { type Cidr, cidrsOverlap, formatCidr, parseCidr } from '../../src/core/ip.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { type Arm, apiVersions } from './arm.ts';
import type { Check } from './diagnose-check.ts';
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

/** A range and whose it is. */
interface Range {
  readonly owner: string;
  readonly cidr: Cidr;
}

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
          return [{ check, status: 'warning', found: 'not checked: the VNet is not known', remedy }];
        }
        const context: CallContext = {
          action: 'Microsoft.Network/virtualNetworks/read',
          doing: `read the ranges of ${networkId}`,
        };
        const { body } = await arm.send(context, { path, query: { 'api-version': apiVersions.network } }, signal);
        const network = networkShape.safeParse(body);
        if (!network.success) throw unreadable(context);
        const { addressSpace, virtualNetworkPeerings } = network.data.properties;
        const own = rangesOf(networkId, addressSpace);
        const peers = (virtualNetworkPeerings ?? []).flatMap(({ name, properties }) => {
          if (properties.peeringState?.toLowerCase() !== 'connected') return [];
          const remote = shortId(properties.remoteVirtualNetwork?.id, kinds.network) ?? 'a VNet';
          return rangesOf(`${remote} behind the peering ${name}`, properties.remoteAddressSpace);
        });
        return [
          ...judgeOverlap('overlap network', 'ranges of the VNet', networks, own),
          ...judgeOverlap('overlap peerings', 'ranges of peered VNets', networks, peers),
        ];
      },
    },
  ];
}

function judgeOverlap(
  check: string,
  what: string,
  networks: readonly Cidr[],
  ranges: readonly Range[],
): readonly Finding[] {
  const clashes = networks.flatMap((network) =>
    ranges
      .filter(({ cidr }) => cidrsOverlap(network, cidr))
      .map(({ owner, cidr }) => `${formatCidr(network)} overlaps ${formatCidr(cidr)} of ${owner}`),
  );
  if (clashes.length === 0) {
    return [{ check, status: 'ok', found: `${what}: ${ranges.length}, none of them in the pod network` }];
  }
  const remedy = 'choose a Network (IPv6Network) in net-conf that shares no address with it, and drain the nodes first';
  return clashes.map((found) => ({ check, status: 'failed', found, remedy }));
}

function rangesOf(owner: string, space: z.infer<typeof prefixes>): readonly Range[] {
  return (space?.addressPrefixes ?? []).flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr ? [{ owner, cidr }] : [];
  });
}
