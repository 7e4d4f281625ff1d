/** What Azure says about this machine, its rights and its network, for `doctor`. Changes nothing. Loaded only when it is asked for. */
import { type Cidr, formatCidr } from '../../src/core/ip.ts';
import { interfaceNotKnown, whatCanBeRead } from '../checks.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject, NextHop } from '../provider.ts';
import type { Arm } from './arm.ts';
import { firewallFindings } from './diagnose-firewall.ts';
import { overlapFindings } from './diagnose-networks.ts';
import { rightsFindings } from './diagnose-rights.ts';
import { tableFindings } from './diagnose-tables.ts';

const rightsToRead = '"read" is for doctor';

/** What a diagnosis needs besides its subject. */
export interface DiagnosisOptions {
  readonly arm: Arm;
  readonly besideForeignController: boolean;
}

/**
 * Each request one after the other, a few for each table.
 *
 * @throws TRANSIENT, THROTTLED and what else passes by itself, and an AbortError. Whatever needs a person is a finding.
 */
export async function diagnose(
  { arm, besideForeignController }: DiagnosisOptions,
  subject: DiagnosisSubject,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  if (subject.needs === 'none') {
    const found = 'the controller writes the routes; this machine needs no rights in Azure, and Azure was not asked';
    return [{ check: 'rights', status: 'ok', found }];
  }
  const rights = await whatCanBeRead(
    [{ check: 'rights', run: () => rightsFindings(arm, subject, signal) }],
    rightsToRead,
  );
  // Without credentials every other question has the same answer.
  if (rights.some(({ check, status }) => check === 'credentials' && status === 'failed')) return rights;
  return [
    ...rights,
    ...forwarding(subject.nextHop),
    ...families(subject),
    ...(await whatCanBeRead(
      [
        ...tableFindings(arm, subject, besideForeignController, signal),
        ...overlapFindings(arm, subject, signal),
        ...firewallFindings(arm, subject, signal),
      ],
      rightsToRead,
    )),
  ];
}

function forwarding(nextHop: NextHop | undefined): readonly Finding[] {
  const check = 'IP forwarding';
  if (!nextHop) return [interfaceNotKnown(check)];
  const { nicId, forwards } = nextHop;
  if (forwards) return [{ check, status: 'ok', found: `on for ${nicId}` }];
  const [, group, name, member] = nicId.split('/');
  const command =
    member === undefined
      ? `az network nic update -g ${group} -n ${name} --ip-forwarding true; an agent or controller with the right to do so does it by itself`
      : `set enableIPForwarding in the network profile of the scale set ${name} (az vmss update), then az vmss update-instances`;
  const found = `off for ${nicId}: Azure drops every packet that pods send or get by it`;
  return [{ check, status: 'failed', found, remedy: command }];
}

/** Azure routes to addresses, so a network of a family needs an address of it on the node. */
function families({ networks, nextHop }: DiagnosisSubject): readonly Finding[] {
  if (!nextHop) return [];
  return networks
    .filter((network: Cidr) => nextHop.target?.[network.family] === undefined)
    .map((network) => ({
      check: `IPv${network.family} address`,
      status: 'failed' as const,
      found: `${nextHop.nicId} has none, so no route of ${formatCidr(network)} can lead to it`,
      remedy: `give the interface an IPv${network.family} configuration: az network nic ip-config create --private-ip-address-version IPv${network.family}`,
    }));
}
