/** Which IAM actions are allowed: each is tried by a dry run, which EC2 judges by the caller's policies and then does not carry out. */
import type { EC2Client } from '@aws-sdk/client-ec2';
import { type FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import type { Ec2 } from './ec2.ts';
import type { Sdk } from './sdk.ts';

type Verdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'denied'; readonly error: FlannelVpcError }
  /** EC2 took neither the request nor its caller for good. */
  | { readonly kind: 'unclear'; readonly why: string };

/** One action to try. */
interface Attempt {
  readonly action: string;
  /** What it would act on. */
  readonly on?: string | undefined;
  /** Statement of the policies in the README that allows it. */
  readonly statement: string;
  /** Why it is no failure when it is denied. */
  readonly spared?: string | undefined;
  send(client: EC2Client, sdk: Sdk, options: { readonly abortSignal: AbortSignal }): Promise<unknown>;
}

/** More tables are not tried: each takes three of the account's writes, of which EC2 gives five a second. */
const triedTables = 10;

/**
 * The destination of the tries, kept for documentation by RFC 5737: nothing of anybody is changed even where an endpoint does not
 * know dry runs.
 */
const nowhere = '192.0.2.0/24';

/** One finding for each action and table, after one about the credentials. @throws what passes by itself, and an AbortError. */
export async function rightsFindings(
  ec2: Ec2,
  subject: DiagnosisSubject,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const attempt of reads(subject)) {
    const verdict = await tryIt(ec2, attempt, signal);
    if (verdict.kind === 'denied' && !isRefusal(verdict.error)) return [noCredentials(verdict.error)];
    findings.push(findingOf(attempt, verdict));
  }
  findings.unshift({ check: 'credentials', status: 'ok', found: 'EC2 knows them' });
  if (subject.needs === 'read') return findings;
  const writes = [
    ...subject.tables.slice(0, triedTables).flatMap(({ id }) => routeWrites(id, subject)),
    ...letForward(subject),
  ];
  for (const attempt of writes) {
    const verdict = await tryIt(ec2, attempt, signal);
    findings.push(findingOf(attempt, verdict));
    // Where a harmless one was not judged, the others might be carried out.
    if (verdict.kind === 'unclear') break;
  }
  const untried = subject.tables.length - triedTables;
  if (untried > 0) {
    const found = `the rights on ${untried} more tables were not tried`;
    findings.push({ check: 'iam tables', status: 'warning', found, remedy: 'allow the route actions on all of them' });
  }
  return findings;
}

function reads({ needs }: DiagnosisSubject): readonly Attempt[] {
  const statement = 'Read';
  return [
    {
      action: 'ec2:DescribeNetworkInterfaces',
      statement,
      send: (client, sdk, options) =>
        client.send(new sdk.DescribeNetworkInterfacesCommand({ DryRun: true, MaxResults: 5 }), options),
    },
    {
      action: 'ec2:DescribeRouteTables',
      statement,
      send: (client, sdk, options) =>
        client.send(new sdk.DescribeRouteTablesCommand({ DryRun: true, MaxResults: 5 }), options),
    },
    {
      action: 'ec2:DescribeInstances',
      statement,
      spared: needs === 'write' ? 'only the controller and the operator’s commands need it' : undefined,
      send: (client, sdk, options) =>
        client.send(new sdk.DescribeInstancesCommand({ DryRun: true, MaxResults: 5 }), options),
    },
  ];
}

/** The deletion first: it is harmless wherever it is carried out after all. */
function routeWrites(tableId: string, { nextHop }: DiagnosisSubject): readonly Attempt[] {
  const key = { DryRun: true, RouteTableId: tableId, DestinationCidrBlock: nowhere };
  // Where no NIC is known, well-formed is all it has to be.
  const towards = { ...key, NetworkInterfaceId: nextHop?.nicId ?? 'eni-00000000000000000' };
  const base = { on: tableId, statement: 'WriteRoutes' };
  return [
    {
      ...base,
      action: 'ec2:DeleteRoute',
      send: (client, sdk, options) => client.send(new sdk.DeleteRouteCommand(key), options),
    },
    {
      ...base,
      action: 'ec2:CreateRoute',
      send: (client, sdk, options) => client.send(new sdk.CreateRouteCommand(towards), options),
    },
    {
      ...base,
      action: 'ec2:ReplaceRoute',
      send: (client, sdk, options) => client.send(new sdk.ReplaceRouteCommand(towards), options),
    },
  ];
}

function letForward({ nextHop }: DiagnosisSubject): readonly Attempt[] {
  if (!nextHop) return [];
  const { nicId, forwards } = nextHop;
  const input = { DryRun: true, NetworkInterfaceId: nicId, SourceDestCheck: { Value: false } };
  return [
    {
      action: 'ec2:ModifyNetworkInterfaceAttribute',
      on: nicId,
      statement: 'LetNodesForward',
      spared: forwards ? 'the source/dest check is off already' : undefined,
      send: (client, sdk, options) => client.send(new sdk.ModifyNetworkInterfaceAttributeCommand(input), options),
    },
  ];
}

async function tryIt(ec2: Ec2, { action, on, send }: Attempt, signal: AbortSignal): Promise<Verdict> {
  const context = { action, doing: `try ${action}${on === undefined ? '' : ` on ${on}`} without effect` };
  try {
    await ec2.call(context, signal, send);
    return { kind: 'unclear', why: 'the endpoint does not know dry runs' };
  } catch (error) {
    if (!isFlannelVpcError(error)) throw error;
    if (error.details['awsCode'] === 'DryRunOperation') return { kind: 'allowed' };
    if (error.code === 'PERMISSION_DENIED') return { kind: 'denied', error };
    if (error.retry === 'backoff') throw error;
    return { kind: 'unclear', why: error.message };
  }
}

/** True for IAM's own no, which comes after the caller was recognised. */
function isRefusal({ details }: FlannelVpcError): boolean {
  return ['UnauthorizedOperation', 'AccessDenied', 'AccessDeniedException'].includes(String(details['awsCode']));
}

function findingOf({ action, on, statement, spared }: Attempt, verdict: Verdict): Finding {
  const check = `iam ${action}${on === undefined ? '' : ` (${on})`}`;
  if (verdict.kind === 'allowed') return { check, status: 'ok', found: 'allowed' };
  if (verdict.kind === 'unclear') {
    const remedy = 'look at the role’s policies by hand';
    return { check, status: 'warning', found: `not checked: ${verdict.why}`, remedy };
  }
  const { hint, details } = verdict.error;
  const who = typeof details['principal'] === 'string' ? ` to ${details['principal']}` : '';
  const found = `denied${who}${spared === undefined ? '' : `; ${spared}`}`;
  const remedy = `${hint}: statement ${statement} of the policies in providers/aws-vpc/README.md, section Least rights`;
  return { check, status: spared === undefined ? 'failed' : 'warning', found, remedy };
}

function noCredentials({ message, hint }: FlannelVpcError): Finding {
  return { check: 'credentials', status: 'failed', found: message, remedy: hint };
}
