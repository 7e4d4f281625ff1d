/** What `npm audit --json` says, and what of it counts. */
import * as z from 'zod';
import type { Lock } from './locked-packages.ts';

/** One advisory; a plain name stands for an affected package further down. The format is npm's, `auditReportVersion` 2. */
const viaSchema = z.union([
  z.string(),
  z.object({ name: z.string(), title: z.string(), url: z.string(), severity: z.string(), range: z.string() }),
]);

const reportSchema = z.object({
  auditReportVersion: z.literal(2),
  vulnerabilities: z.record(z.string(), z.object({ via: z.array(viaSchema), nodes: z.array(z.string()) })),
});

/** What npm prints in place of a report when the registry refuses, or can't be reached. */
const refusalSchema = z.union([
  z.object({ message: z.string() }).transform(({ message }) => message),
  z.object({ error: z.object({ summary: z.string() }) }).transform(({ error }) => error.summary),
]);

export interface Advisory {
  /** GHSA-…, or the address where it is not one of GitHub's. */
  readonly id: string;
  readonly package: string;
  readonly severity: string;
  readonly title: string;
  /** The versions it is about. */
  readonly range: string;
  /** A production package; otherwise a tool's. */
  readonly ships: boolean;
}

export type AuditAnswer =
  | { readonly kind: 'report'; readonly advisories: readonly Advisory[] }
  | { readonly kind: 'no-answer'; readonly why: string };

/** Reads npm's standard output. What is no report is no answer, whatever npm's exit code. */
export function readAudit(output: string, lock: Lock): AuditAnswer {
  let json: unknown;
  try {
    json = JSON.parse(output);
  } catch {
    return { kind: 'no-answer', why: output.trim().split('\n')[0] || 'npm printed nothing' };
  }
  const report = reportSchema.safeParse(json);
  if (!report.success) {
    const refusal = refusalSchema.safeParse(json);
    return { kind: 'no-answer', why: refusal.data ?? 'npm printed a report of a format that is not known here' };
  }
  const advisories = new Map<string, Advisory>();
  for (const { via, nodes } of Object.values(report.data.vulnerabilities)) {
    for (const each of via) {
      if (typeof each === 'string') continue;
      const { name, title, url, severity, range } = each;
      const id = /GHSA(?:-[\w]{4}){3}/.exec(url)?.[0] ?? url;
      const ships = nodes.some((path) => lock.packages[path]?.dev !== true);
      advisories.set(`${id} ${name}`, { id, package: name, severity, title, range, ships });
    }
  }
  return { kind: 'report', advisories: [...advisories.values()].sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** An advisory that was looked at and does not concern this project, for now. */
export const exceptionsSchema = z.array(
  z.strictObject({
    advisory: z.string().regex(/^GHSA(?:-[\w]{4}){3}$/),
    package: z.string().min(1),
    /** Why it does not reach us; a sentence. */
    reason: z.string().min(20),
    /** The last day it holds, in UTC: `2026-12-31`. */
    until: z.iso.date(),
  }),
);
export type Exceptions = z.infer<typeof exceptionsSchema>;

export interface Judgement {
  readonly open: readonly Advisory[];
  /** What to tell, a line each: advisories that count, exceptions that apply, have run out, or are no longer needed. */
  readonly lines: readonly string[];
}

/**
 * What counts on a day (`2026-11-26`) once exceptions are taken off. An exception that nothing needs any more can be told only when
 * `all` packages were asked for.
 */
export function judge(advisories: readonly Advisory[], exceptions: Exceptions, today: string, all: boolean): Judgement {
  const open: Advisory[] = [];
  const lines: string[] = [];
  for (const advisory of advisories) {
    const { id, package: name, severity, title, range, ships } = advisory;
    const what = `${id} (${severity}) in ${name} ${range}, ${ships ? 'which ships' : 'a tool'}: ${title}`;
    const exception = exceptions.find((each) => each.advisory === id && each.package === name);
    if (exception !== undefined && today <= exception.until) {
      lines.push(`excepted until ${exception.until}: ${what}; ${exception.reason}`);
      continue;
    }
    open.push(advisory);
    lines.push(
      exception === undefined ? `found: ${what}` : `found, its exception ran out on ${exception.until}: ${what}`,
    );
  }
  for (const each of all ? exceptions : []) {
    if (!advisories.some(({ id, package: name }) => id === each.advisory && name === each.package))
      lines.push(`no longer found, its exception can go: ${each.advisory} in ${each.package}`);
  }
  return { open, lines };
}
