/** What Alibaba Cloud says about this machine, its rights and its VPC, for `doctor`. Changes nothing. Loaded only when it is asked for. */
import { isFlannelVpcError } from '../../src/core/errors.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject, NextHop } from '../provider.ts';
import type { AlibabaApi } from './api.ts';
import type { Check } from './check.ts';
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
    ...(await whatCanBeRead(overlapChecks(api, subject, signal))),
    ...(await whatCanBeRead(firewallChecks(api, subject, signal))),
  ];
}

function sourceDestCheck(nextHop: NextHop | undefined, region = 'REGION'): Finding {
  const check = 'source/dest check';
  if (!nextHop) return notChecked(check, 'the network interface of this machine is not known', 'run it on a node');
  const { nicId, forwards } = nextHop;
  if (forwards) return { check, status: 'ok', found: `off on ${nicId}` };
  return {
    check,
    status: 'failed',
    found: `on on ${nicId}: ECS drops every packet that pods send or get by it`,
    remedy: `aliyun ecs ModifyNetworkInterfaceAttribute --RegionId ${region} --NetworkInterfaceId ${nicId} --SourceDestCheck false; an agent or controller with the right to do so does it by itself`,
  };
}

async function whatCanBeRead(checks: readonly Check[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { check, run } of checks) {
    try {
      findings.push(...(await run()));
    } catch (error) {
      if (!isFlannelVpcError(error) || error.retry === 'backoff') throw error;
      const denied = error.code === 'PERMISSION_DENIED';
      const why = denied ? `the credentials may not ${String(error.details['action'])}` : error.message;
      findings.push(notChecked(check, why, denied ? `${error.hint}; "read" is for doctor` : error.hint));
    }
  }
  return findings;
}

function notChecked(check: string, why: string, remedy = 'look at it by hand'): Finding {
  return { check, status: 'warning', found: `not checked: ${why}`, remedy };
}
