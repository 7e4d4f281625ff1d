/** What Compute Engine says about this machine, its rights and its network, for `doctor`. Changes nothing. Loaded only when it is asked for. */
import { isFlannelVpcError } from '../../src/core/errors.ts';
import { notChecked, whatCanBeRead } from '../checks.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject, NextHop } from '../provider.ts';
import type { Compute } from './compute.ts';
import { firewallFindings } from './diagnose-firewall.ts';
import type { Look } from './diagnose-look.ts';
import { overlapFindings } from './diagnose-networks.ts';
import { badCredentials, rightsFindings } from './diagnose-rights.ts';

/**
 * A dozen requests, one after the other.
 *
 * @throws TRANSIENT, THROTTLED and what else passes by itself, and an AbortError. Whatever needs a person is a finding.
 */
export async function diagnose(
  compute: Compute,
  subject: DiagnosisSubject,
  signal: AbortSignal,
  projectOf: (signal: AbortSignal) => Promise<string>,
): Promise<readonly Finding[]> {
  if (subject.needs === 'none') {
    const found =
      'the controller writes the routes; this machine needs no rights in Compute Engine, which was not asked';
    return [{ check: 'iam', status: 'ok', found }];
  }
  try {
    return await questions({ compute, subject, signal, project: await projectOf(signal) });
  } catch (error) {
    // Asked again it would not be there either, and the token comes from it.
    if (isFlannelVpcError(error, 'METADATA_UNAVAILABLE')) return [badCredentials(error)];
    throw error;
  }
}

async function questions(look: Look): Promise<readonly Finding[]> {
  const { subject } = look;
  const rights = await rightsFindings(look);
  // Without credentials every other question has the same answer.
  if (rights.some(({ check, status }) => check === 'credentials' && status === 'failed')) return rights;
  const checks = [...overlapFindings(look), ...firewallFindings(look)];
  return [...rights, forwarding(subject.nextHop), ...(await whatCanBeRead(checks))];
}

function forwarding(nextHop: NextHop | undefined): Finding {
  const check = 'canIpForward';
  if (!nextHop) return notChecked(check, 'the instance of this machine is not known', 'run it on a node');
  const { nicId, instanceId = nicId, forwards } = nextHop;
  if (forwards) return { check, status: 'ok', found: `on for ${instanceId}` };
  return {
    check,
    status: 'failed',
    found: `off for ${instanceId}: Google drops every packet that pods send or get by it`,
    remedy:
      'create the instance again with --can-ip-forward (gcloud compute instances create, or canIpForward in its template); this program does not change it',
  };
}
