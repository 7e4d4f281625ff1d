/** What EC2 says about this machine, its rights and its VPC, for `doctor`. Changes nothing. Loaded only when it is asked for. */
import { isFlannelVpcError } from '../../src/core/errors.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject, NextHop } from '../provider.ts';
import { firewallFindings } from './diagnose-firewall.ts';
import { overlapFindings } from './diagnose-networks.ts';
import { rightsFindings } from './diagnose-rights.ts';
import type { Ec2 } from './ec2.ts';

const readme = 'providers/aws-vpc/README.md, section Least rights';

/**
 * Each request one after the other, a few for each table.
 *
 * @throws TRANSIENT, THROTTLED and what else passes by itself, and an AbortError. Whatever needs a person is a finding.
 */
export async function diagnose(ec2: Ec2, subject: DiagnosisSubject, signal: AbortSignal): Promise<readonly Finding[]> {
  if (subject.needs === 'none') {
    const found = 'the controller writes the routes; this machine needs no rights in EC2, and EC2 was not asked';
    return [{ check: 'iam', status: 'ok', found }];
  }
  const rights = await rightsFindings(ec2, subject, signal);
  // Without credentials every other question has the same answer.
  if (rights.some(({ check, status }) => check === 'credentials' && status === 'failed')) return rights;
  return [
    ...rights,
    sourceDestCheck(subject.nextHop),
    ...(await whatCanBeRead(overlapFindings(ec2, subject, signal))),
    ...(await whatCanBeRead(firewallFindings(ec2, subject, signal))),
  ];
}

function sourceDestCheck(nextHop: NextHop | undefined): Finding {
  const check = 'source/dest check';
  if (!nextHop) return notChecked(check, 'the network interface of this machine is not known', 'run it on a node');
  const { nicId, forwards } = nextHop;
  if (forwards) return { check, status: 'ok', found: `off on ${nicId}` };
  return {
    check,
    status: 'failed',
    found: `on on ${nicId}: EC2 drops every packet that pods send or get by it`,
    remedy: `aws ec2 modify-network-interface-attribute --network-interface-id ${nicId} --no-source-dest-check; an agent or controller with the right to do so does it by itself`,
  };
}

/** The steps of checks that rest on reads which a role may lack: then they are not made, and that is the finding. */
async function whatCanBeRead(
  checks: readonly { readonly check: string; run(): Promise<readonly Finding[]> }[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { check, run } of checks) {
    try {
      findings.push(...(await run()));
    } catch (error) {
      if (!isFlannelVpcError(error) || error.retry === 'backoff') throw error;
      const denied = error.code === 'PERMISSION_DENIED';
      const why = denied ? `the credentials may not ${String(error.details['action'])}` : error.message;
      findings.push(notChecked(check, why, denied ? `${error.hint}; ${readme}, has a policy for doctor` : error.hint));
    }
  }
  return findings;
}

function notChecked(check: string, why: string, remedy = 'look at it by hand'): Finding {
  return { check, status: 'warning', found: `not checked: ${why}`, remedy };
}
