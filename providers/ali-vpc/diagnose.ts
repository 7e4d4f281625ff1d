/** What Alibaba Cloud says about this machine, its rights and its VPC, for `doctor`. Changes nothing. Loaded only when it is asked for. */
import { interfaceNotKnown, whatCanBeRead } from '../checks.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject, NextHop } from '../provider.ts';
import type { AlibabaApi } from './api.ts';
import { firewallChecks } from './diagnose-firewall.ts';
import { overlapChecks } from './diagnose-networks.ts';
import { rightsFindings } from './diagnose-rights.ts';

/**
 * Each request one after the other, a few for each table.
 *
 * @throws TRANSIENT, THROTTLED and what else passes by itself, and an AbortError. Whatever needs a person is a finding.
 */
export async function diagnose(
  api: AlibabaApi,
  subject: DiagnosisSubject,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  if (subject.needs === 'none') {
    const found =
      'the controller writes the routes; this machine needs no rights in RAM, and the cloud’s API was not asked';
    return [{ check: 'ram', status: 'ok', found }];
  }
  const rights = await rightsFindings(api, subject, signal);
  // Without credentials every other question has the same answer.
  if (rights.some(({ check, status }) => check === 'credentials' && status === 'failed')) return rights;
  return [
    ...rights,
    sourceDestCheck(subject.nextHop, api.region),
    ...(await whatCanBeRead(
      [...overlapChecks(api, subject, signal), ...firewallChecks(api, subject, signal)],
      '"read" is for doctor',
    )),
  ];
}

function sourceDestCheck(nextHop: NextHop | undefined, region = 'REGION'): Finding {
  const check = 'source/dest check';
  if (!nextHop) return interfaceNotKnown(check);
  const { nicId, forwards } = nextHop;
  if (forwards) return { check, status: 'ok', found: `off on ${nicId}` };
  return {
    check,
    status: 'failed',
    found: `on on ${nicId}: ECS drops every packet that pods send or get by it`,
    remedy: `aliyun ecs ModifyNetworkInterfaceAttribute --RegionId ${region} --NetworkInterfaceId ${nicId} --SourceDestCheck false; an agent or controller with the right to do so does it by itself`,
  };
}
