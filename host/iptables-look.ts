/** Reads this host's iptables rules: which of its two variants is in use, and what stands in them. Changes nothing. */
import { readFile } from 'node:fs/promises';
import { errorMessage, isAbortError } from '../src/core/errors.ts';
import type { Family } from '../src/core/ip.ts';
import type { Logger } from '../src/core/log.ts';
import { isProgramMissing, lockWaitSeconds, type Run } from './exec.ts';
import { holdsForeignRules } from './iptables-plan.ts';
import { parseSave, parseVersion, type Saved } from './iptables-text.ts';

/** One set of iptables programs: the host's default one, or one of the two variants by name. */
export interface Tool {
  readonly save: string;
  readonly restore: string;
  readonly knowsRandomFully: boolean;
  readonly lockWait: readonly string[];
}

export interface View {
  readonly tool: Tool;
  readonly saved: Saved;
}

/** The variant the host uses, and the other one where it exists. */
export interface Views {
  readonly chosen: View;
  readonly other: View | undefined;
}

export interface LookParts {
  readonly run: Run;
  readonly logger: Logger;
}

export const iptablesNames: Readonly<Record<Family, string>> = { 4: 'iptables', 6: 'ip6tables' };

/** The default variant, unless only the other one holds rules of others. @throws HOST_COMMAND_FAILED. */
export async function lookAtIptables(parts: LookParts, family: Family, signal: AbortSignal): Promise<Views> {
  const main = await view(parts.run, iptablesNames[family], signal);
  const other = await otherView(parts, family, main.saved, signal);
  if (other && holdsForeignRules(other.saved) && !holdsForeignRules(main.saved)) return { chosen: other, other: main };
  return { chosen: main, other };
}

async function view(run: Run, base: string, signal: AbortSignal): Promise<View> {
  const saved = parseSave((await run([`${base}-save`], { signal })).stdout);
  // Without any table there is no header either.
  const header = saved.version ? saved : parseVersion((await run([base, '--version'], { signal })).stdout);
  return { tool: toolNamed(base, header.version), saved: { ...saved, ...header } };
}

async function otherView(
  { run, logger }: LookParts,
  family: Family,
  main: Saved,
  signal: AbortSignal,
): Promise<View | undefined> {
  // The kernel names the legacy tables in use, which saves a process on most hosts.
  if (main.variant !== 'legacy' && (await legacyTables(family)) === '') return undefined;
  const tool = toolNamed(`${iptablesNames[family]}-${main.variant === 'legacy' ? 'nft' : 'legacy'}`, main.version);
  try {
    return { tool, saved: parseSave((await run([tool.save], { signal })).stdout) };
  } catch (error) {
    if (isAbortError(error)) throw error;
    if (!isProgramMissing(error))
      logger.debug('cannot read the other iptables variant', { error: errorMessage(error) });
    return undefined;
  }
}

function toolNamed(base: string, version: readonly number[] | undefined): Tool {
  const recent = compareVersions(version ?? [], [1, 6, 2]) >= 0;
  return {
    save: `${base}-save`,
    restore: `${base}-restore`,
    knowsRandomFully: recent,
    lockWait: recent ? ['-w', String(lockWaitSeconds)] : [],
  };
}

async function legacyTables(family: Family): Promise<string> {
  try {
    return await readFile(`/proc/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`, 'utf8');
  } catch {
    return '';
  }
}

function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < b.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
