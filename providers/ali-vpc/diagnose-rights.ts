/**
 * Which RAM actions are allowed. Reads are made, with the smallest page. Writes are tried as dry runs of a destination that nobody has,
 * so that nothing is changed even where an endpoint does not know dry runs: RAM judges the caller before the request is looked at.
 */
import * as z from 'zod';
import { type FlannelVpcError, isFlannelVpcError } from '../../src/core/errors.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import type { AlibabaApi, ApiParameters } from './api.ts';

type Verdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'denied'; readonly error: FlannelVpcError }
  /** The cloud took neither the request nor its caller for good. */
  | { readonly kind: 'unclear'; readonly why: string; readonly hint?: string | undefined };

/** One action to try. */
interface Attempt {
  readonly action: string;
  /** What it would act on. */
  readonly on?: string | undefined;
  readonly parameters: ApiParameters;
  /** It is a dry run, which the cloud never answers by success. */
  readonly isDry?: boolean | undefined;
  /** Why it is no failure when it is denied. */
  readonly spared?: string | undefined;
}

/** More tables are not tried. */
const triedTables = 10;
/** Kept for documentation by RFC 5737. */
const nowhere = '192.0.2.0/24';
const anything = z.unknown();

/** One finding for each action and table, after one about the credentials. @throws what passes by itself, and an AbortError. */
export async function rightsFindings(
  api: AlibabaApi,
  subject: DiagnosisSubject,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  let isKnown = false;
  for (const attempt of reads(subject)) {
    const verdict = await tryIt(api, attempt, signal);
    if (verdict.kind === 'denied' && !isRefusal(verdict.error)) return [noCredentials(verdict.error)];
    findings.push(findingOf(attempt, verdict));
    isKnown ||= verdict.kind !== 'unclear';
  }
  findings.unshift(isKnown ? { check: 'credentials', status: 'ok', found: 'Alibaba Cloud knows them' } : unasked);
  if (subject.needs === 'read') return findings;
  for (const attempt of subject.tables.slice(0, triedTables).flatMap(({ id }) => writes(id, subject))) {
    const verdict = await tryIt(api, attempt, signal);
    findings.push(findingOf(attempt, verdict));
    // Where a harmless one was not judged, the others might be carried out.
    if (verdict.kind === 'unclear') break;
  }
  const untried = subject.tables.length - triedTables;
  if (untried > 0) {
    const found = `the rights on ${untried} more tables were not tried`;
    findings.push({ check: 'ram tables', status: 'warning', found, remedy: 'allow the route actions on all of them' });
  }
  return findings;
}

function reads({ needs, networkId, tables }: DiagnosisSubject): readonly Attempt[] {
  const vpc: ApiParameters = networkId === undefined ? {} : { VpcId: networkId };
  return [
    { action: 'vpc:DescribeRouteTableList', parameters: { PageNumber: '1', PageSize: '1', ...vpc } },
    ...tables.slice(0, 1).map(({ id }) => ({
      action: 'vpc:DescribeRouteEntryList',
      on: id,
      parameters: { RouteTableId: id, MaxResult: '1' },
    })),
    { action: 'ecs:DescribeNetworkInterfaces', parameters: { MaxResults: '10', ...vpc } },
    {
      action: 'ecs:DescribeInstances',
      parameters: { MaxResults: '10', ...vpc },
      spared: needs === 'write' ? 'only the controller and the operator’s commands need it' : undefined,
    },
  ];
}

/** The deletions first: they are harmless wherever they are carried out after all. */
function writes(tableId: string, { needs, nextHop }: DiagnosisSubject): readonly Attempt[] {
  // Where no instance is known, well-formed is all it has to be.
  const hop = nextHop?.instanceId ?? 'i-00000000000000000000';
  const key = { RouteTableId: tableId, DestinationCidrBlock: nowhere };
  const one = { 'RouteEntries.1.RouteTableId': tableId, 'RouteEntries.1.DstCidrBlock': nowhere };
  const base = { on: tableId, isDry: true };
  const dry = { DryRun: 'true' };
  const single: readonly Attempt[] = [
    { ...base, action: 'vpc:DeleteRouteEntry', parameters: { ...key, NextHopId: hop, ...dry } },
    {
      ...base,
      action: 'vpc:ModifyRouteEntry',
      parameters: { ...key, NewNextHopId: hop, NewNextHopType: 'Instance', ...dry },
    },
    {
      ...base,
      action: 'vpc:CreateRouteEntry',
      parameters: { ...key, NextHopId: hop, NextHopType: 'Instance', ...dry },
    },
  ];
  if (needs !== 'control') return single;
  const many = { ...one, 'RouteEntries.1.NextHop': hop, ...dry };
  return [
    ...single,
    { ...base, action: 'vpc:DeleteRouteEntries', parameters: many },
    {
      ...base,
      action: 'vpc:CreateRouteEntries',
      parameters: { ...many, 'RouteEntries.1.NextHopType': 'Instance' },
    },
  ];
}

async function tryIt(
  api: AlibabaApi,
  { action, on, parameters, isDry = false }: Attempt,
  signal: AbortSignal,
): Promise<Verdict> {
  const context = { action, doing: `try ${action}${on === undefined ? '' : ` on ${on}`} without effect` };
  try {
    await api.call(context, signal, { parameters, answer: anything });
    return isDry ? { kind: 'unclear', why: 'the endpoint does not know dry runs' } : { kind: 'allowed' };
  } catch (error) {
    if (!isFlannelVpcError(error)) throw error;
    if (error.code === 'PERMISSION_DENIED') return { kind: 'denied', error };
    if (error.retry === 'backoff') throw error;
    // Whatever else the cloud says of the request, it took the caller for good.
    const isJudged = error.details['cloudCode'] !== undefined;
    return isJudged ? { kind: 'allowed' } : { kind: 'unclear', why: error.message, hint: error.hint };
  }
}

/** True for RAM's own no, which comes after the caller was recognised. */
function isRefusal({ details }: FlannelVpcError): boolean {
  return /^(Forbidden|NoPermission)/.test(String(details['cloudCode']));
}

function findingOf({ action, on, spared }: Attempt, verdict: Verdict): Finding {
  const check = `ram ${action}${on === undefined ? '' : ` (${on})`}`;
  if (verdict.kind === 'allowed') return { check, status: 'ok', found: 'allowed' };
  if (verdict.kind === 'unclear') {
    const remedy = verdict.hint ?? 'look at the policies of the role or user by hand';
    return { check, status: 'warning', found: `not checked: ${verdict.why}`, remedy };
  }
  const found = `denied${spared === undefined ? '' : `; ${spared}`}`;
  return { check, status: spared === undefined ? 'failed' : 'warning', found, remedy: verdict.error.hint };
}

/** No question got as far as the cloud, for want of the region for example. */
const unasked: Finding = {
  check: 'credentials',
  status: 'warning',
  found: 'not checked: Alibaba Cloud was not asked',
  remedy: 'mend what is said of the rights, then run doctor again',
};

function noCredentials({ message, hint }: FlannelVpcError): Finding {
  return { check: 'credentials', status: 'failed', found: message, remedy: hint };
}
