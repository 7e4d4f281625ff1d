/** What EC2 says about this machine, its rights and its VPC, for `doctor`. Changes nothing. Loaded only when it is asked for. */
import { interfaceNotKnown, whatCanBeRead } from '../checks.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject, NextHop } from '../provider.ts';
import { firewallFindings } from './diagnose-firewall.ts';
import { overlapFindings } from './diagnose-networks.ts';
import { rightsFindings } from './diagnose-rights.ts';
import type { Ec2 } from './ec2.ts';

const rightsToRead = 'providers/aws-vpc/README.md, section Least rights, has a policy for doctor';

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
    ...(await whatCanBeRead(
      [...overlapFindings(ec2, subject, signal), ...firewallFindings(ec2, subject, signal)],
      rightsToRead,
    )),
  ];
}

function sourceDestCheck(nextHop: NextHop | undefined): Finding {
  const check = 'source/dest check';
  if (!nextHop) return interfaceNotKnown(check);
  const { nicId, forwards } = nextHop;
  if (forwards) return { check, status: 'ok', found: `off on ${nicId}` };
  return {
    check,
    status: 'failed',
    found: `on on ${nicId}: EC2 drops every packet that pods send or get by it`,
    remedy: `aws ec2 modify-network-interface-attribute --network-interface-id ${nicId} --no-source-dest-check; an agent or controller with the right to do so does it by itself`,
  };
}
