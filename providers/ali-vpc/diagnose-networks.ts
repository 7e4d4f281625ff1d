/** Whether pod networks share addresses with what the VPC routes by itself: vSwitches, its own ranges, the services' range. */
import { type Cidr, cidrsOverlap, formatCidr, parseCidr } from '../../src/core/ip.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { vpcList, vSwitchList } from './answers.ts';
import type { AlibabaApi } from './api.ts';
import type { Check } from './check.ts';
import { serviceRange } from './config.ts';
import { destinationHint } from './error-codes.ts';
import { allByNumber } from './pages.ts';

/** A range and whose it is. */
interface Range {
  readonly owner: string;
  readonly cidr: Cidr;
}

/** Most entries in one page that both operations allow. */
const pageSize = 50;

/** Three checks, to be run one after the other. Each throws what its read throws. */
export function overlapChecks(
  api: AlibabaApi,
  { networks, networkId }: DiagnosisSubject,
  signal: AbortSignal,
): readonly Check[] {
  const services = [{ owner: 'Alibaba Cloud’s services', cidr: serviceRange }];
  return [
    {
      check: 'overlap services',
      run: async () => judge('overlap services', 'ranges of the cloud’s services', networks, services, 'failed'),
    },
    ofVpc('overlap vswitches', networkId, async (vpc) =>
      judge('overlap vswitches', 'vSwitches', networks, await vSwitchRanges(api, vpc, signal), 'failed'),
    ),
    ofVpc('overlap vpc', networkId, async (vpc) =>
      judge('overlap vpc', 'ranges of the VPC', networks, await vpcRanges(api, vpc, signal), 'warning'),
    ),
  ];
}

function ofVpc(check: string, networkId: string | undefined, run: (vpc: string) => Promise<readonly Finding[]>): Check {
  return {
    check,
    async run() {
      if (networkId !== undefined) return await run(networkId);
      const remedy = 'run it on a node, or compare the VPC’s ranges with Network by hand';
      return [{ check, status: 'warning', found: 'not checked: the VPC is not known', remedy }];
    },
  };
}

/** A route inside the VPC's own range can be written while no vSwitch is there, but no vSwitch can come there any more. */
function judge(
  check: string,
  what: string,
  networks: readonly Cidr[],
  ranges: readonly Range[],
  status: 'failed' | 'warning',
): readonly Finding[] {
  const clashes = networks.flatMap((network) =>
    ranges
      .filter(({ cidr }) => cidrsOverlap(network, cidr))
      .map(({ owner, cidr }) => `${formatCidr(network)} overlaps ${formatCidr(cidr)} of ${owner}`),
  );
  if (clashes.length === 0) {
    return [{ check, status: 'ok', found: `${what}: ${ranges.length}, none of them in the pod network` }];
  }
  const remedy = `${destinationHint} (and best outside the VPC’s own ranges); drain the nodes first`;
  return clashes.map((found) => ({ check, status, found, remedy }));
}

async function vpcRanges(api: AlibabaApi, vpcId: string, signal: AbortSignal): Promise<readonly Range[]> {
  const context = { action: 'vpc:DescribeVpcs', doing: `read the ranges of ${vpcId}` };
  const vpcs = await allByNumber(pageSize, async (page) => {
    const parameters = { VpcId: vpcId, ...page };
    const { Vpcs: items, TotalCount: total } = await api.call(context, signal, { parameters, answer: vpcList });
    return { items, total };
  });
  return vpcs.flatMap(({ CidrBlock, Ipv6CidrBlock, SecondaryCidrBlocks }) =>
    rangesOf(vpcId, [CidrBlock, Ipv6CidrBlock, ...SecondaryCidrBlocks]),
  );
}

async function vSwitchRanges(api: AlibabaApi, vpcId: string, signal: AbortSignal): Promise<readonly Range[]> {
  const context = { action: 'vpc:DescribeVSwitches', doing: `read the vSwitches of ${vpcId}` };
  const vSwitches = await allByNumber(pageSize, async (page) => {
    const parameters = { VpcId: vpcId, ...page };
    const { VSwitches: items, TotalCount: total } = await api.call(context, signal, {
      parameters,
      answer: vSwitchList,
    });
    return { items, total };
  });
  return vSwitches.flatMap(({ VSwitchId, CidrBlock, Ipv6CidrBlock }) =>
    rangesOf(VSwitchId, [CidrBlock, Ipv6CidrBlock]),
  );
}

function rangesOf(owner: string, texts: readonly (string | undefined)[]): readonly Range[] {
  return texts.flatMap((text) => {
    const cidr = parseCidr(text ?? '');
    return cidr ? [{ owner, cidr }] : [];
  });
}
