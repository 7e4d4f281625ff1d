/** Whether pod networks share addresses with what the VPC network routes by itself: its own range, its subnets, its peers' subnets. */
import { type Check, notChecked } from '../checks.ts';
import { judgeOverlap, type OwnedRange, rangesOf } from '../overlap.ts';
import { parsed } from './compute.ts';
import type { Look } from './diagnose-look.ts';
import { networkId, networkOfLink, parseNetworkId } from './names.ts';
import { maxPageSize } from './read-instances.ts';
import { networkSchema, subnetsOfRegionSchema } from './schemas.ts';

/** Three checks, to be run one after the other. */
export function overlapFindings(look: Look): readonly Check[] {
  const { networks, networkId: id } = look.subject;
  const kinds = [
    { check: 'overlap vpc', what: 'ranges of the network', read: networkRanges },
    { check: 'overlap subnets', what: 'ranges of subnets', read: subnetRanges },
    { check: 'overlap peerings', what: 'subnets of peered networks', read: peerRanges },
  ];
  return kinds.map(({ check, what, read }) => ({
    check,
    async run() {
      if (id === undefined) {
        const remedy = 'run it on a node, or compare the network’s ranges with Network by hand';
        return [notChecked(check, 'the VPC network is not known', remedy)];
      }
      return judgeOverlap({ check, what }, networks, await read(look, id));
    },
  }));
}

async function networkRanges({ compute, signal }: Look, id: string): Promise<readonly OwnedRange[]> {
  const named = parseNetworkId(id);
  if (!named) return [];
  const context = { action: 'compute.networks.get', doing: `read the network ${id}` };
  const request = { project: named.project, network: named.name };
  const [answer] = await compute.call(context, signal, (client, options) =>
    client('NetworksClient').get(request, options),
  );
  const { IPv4Range, internalIpv6Range } = parsed(networkSchema, answer, context);
  return rangesOf(id, [IPv4Range, internalIpv6Range]);
}

/** Their alias ranges too: Google's own way to pods' addresses. */
async function subnetRanges({ compute, signal }: Look, id: string): Promise<readonly OwnedRange[]> {
  const project = parseNetworkId(id)?.project;
  if (project === undefined) return [];
  const context = { action: 'compute.subnetworks.list', doing: `read the subnetworks of ${id}` };
  return await compute.call(context, signal, async (client, options) => {
    const found: OwnedRange[] = [];
    const request = { project, maxResults: maxPageSize };
    const pages = client('SubnetworksClient').aggregatedListAsync(request, { ...options, autoPaginate: false });
    for await (const [, region] of pages) {
      for (const subnet of parsed(subnetsOfRegionSchema, region, context).subnetworks) {
        const network = networkOfLink(subnet.network ?? '');
        if (!network || networkId(network) !== id) continue;
        const { name, ipCidrRange, internalIpv6Prefix, externalIpv6Prefix, secondaryIpRanges } = subnet;
        found.push(...rangesOf(name, [ipCidrRange, internalIpv6Prefix, externalIpv6Prefix]));
        for (const { rangeName, ipCidrRange: alias } of secondaryIpRanges) {
          found.push(...rangesOf(`the alias range ${rangeName ?? ''} of ${name}`, [alias]));
        }
      }
    }
    return found;
  });
}

/** They are among the network's routes. */
async function peerRanges({ subject }: Look): Promise<readonly OwnedRange[]> {
  return subject.tables.flatMap(({ routes }) =>
    routes.flatMap(({ destination, target }) =>
      destination && target.kind === 'peering' ? [{ owner: `the peering ${target.id}`, cidr: destination }] : [],
    ),
  );
}
