/** Whether pod networks share addresses with what the VPC routes by itself: vSwitches, its own ranges, the services' range. */
import { type Check, notChecked } from '../checks.ts';
import type { Finding } from '../diagnosis.ts';
import { judgeOverlap, type OwnedRange, rangesOf } from '../overlap.ts';
import type { DiagnosisSubject } from '../provider.ts';
import { vpcList, vSwitchList } from './answers.ts';
import type { AlibabaApi } from './api.ts';
import { serviceRange } from './config.ts';
import { destinationHint } from './error-codes.ts';
import { allByNumber } from './pages.ts';

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
      run: async () =>
        judgeOverlap({ check: 'overlap services', what: 'ranges of the cloud’s services', remedy }, networks, services),
    },
    ofVpc('overlap vswitches', networkId, async (vpc) =>
      judgeOverlap(
        { check: 'overlap vswitches', what: 'vSwitches', remedy },
        networks,
        await vSwitchRanges(api, vpc, signal),
      ),
    ),
    // A route inside the VPC's own range can be written while no vSwitch is there, but no vSwitch can come there any more.
    ofVpc('overlap vpc', networkId, async (vpc) =>
      judgeOverlap(
        { check: 'overlap vpc', what: 'ranges of the VPC', status: 'warning', remedy },
        networks,
        await vpcRanges(api, vpc, signal),
      ),
    ),
  ];
}

function ofVpc(check: string, networkId: string | undefined, run: (vpc: string) => Promise<readonly Finding[]>): Check {
  return {
    check,
    async run() {
      if (networkId !== undefined) return await run(networkId);
      const remedy = 'run it on a node, or compare the VPC’s ranges with Network by hand';
      return [notChecked(check, 'the VPC is not known', remedy)];
    },
  };
}

const remedy = `${destinationHint} (and best outside the VPC’s own ranges); drain the nodes first`;

async function vpcRanges(api: AlibabaApi, vpcId: string, signal: AbortSignal): Promise<readonly OwnedRange[]> {
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

async function vSwitchRanges(api: AlibabaApi, vpcId: string, signal: AbortSignal): Promise<readonly OwnedRange[]> {
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
