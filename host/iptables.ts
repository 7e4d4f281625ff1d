/** Brings iptables' rules of ours to what is wanted: read with iptables-save, plan (pure), one iptables-restore per family. */
import type { Clock } from '../src/core/clock.ts';
import { errorMessage, FlannelVpcError, isAbortError, isFlannelVpcError } from '../src/core/errors.ts';
import { type Family, families, type PerFamily } from '../src/core/ip.ts';
import type { Logger } from '../src/core/log.ts';
import { isProgramMissing, type Programs } from './exec.ts';
import { iptablesNames, lookAtIptables, type Tool, type View, type Views } from './iptables-look.ts';
import { checkInput, impossibleInput, planRestore } from './iptables-plan.ts';
import { parseSave, type Saved, sections } from './iptables-text.ts';
import type { Repeater } from './repeater.ts';
import { type FamilyRules, noRules } from './rules.ts';

export interface Iptables {
  /**
   * Makes our chains exactly the wanted ones and removes what else is left of us, in both variants of iptables and in
   * families that are not wanted. Returns what changed.
   */
  start(wanted: PerFamily<FamilyRules>, signal: AbortSignal): Promise<readonly string[]>;
  /** Removes all that is left of us, not before `after` is done. A host without iptables has nothing. */
  clean(after: Promise<unknown>, signal: AbortSignal): Promise<readonly string[]>;
  /** Repairs what is missing; one process for each family while nothing is. */
  resync(wanted: PerFamily<FamilyRules>, signal: AbortSignal): Promise<readonly string[]>;
}

interface Checker {
  readonly input: string;
  /** undefined: this restore does not heed `-C`. */
  readonly repeater: Repeater | undefined;
}

/** Reading, planning and writing again helps when somebody else changed a rule in between; not for ever. */
const attempts = 3;
const retryDelayMs = 50;

export function createIptables(deps: {
  readonly programs: Programs;
  readonly logger: Logger;
  readonly clock: Clock;
}): Iptables {
  const { programs, logger, clock } = deps;
  const { run } = programs;
  const look = { run, logger };
  /** Decided once, at start: a host does not change its variant while it runs. */
  const chosen = new Map<Family, Tool>();
  const checkers = new Map<Family, Checker>();

  async function restore(tool: Tool, input: string, signal: AbortSignal): Promise<void> {
    await run([tool.restore, '--noflush', ...tool.lockWait], { input, signal });
  }

  /** Plans and writes, again from a fresh view when the write is refused. */
  async function settle(
    first: View,
    wanted: FamilyRules,
    phase: 'start' | 'resync',
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    let saved = first.saved;
    for (let attempt = 1; ; attempt++) {
      refuseIncompatible(saved, wanted);
      const plan = planRestore(saved, wanted, phase, first.tool.knowsRandomFully);
      if (plan.input === '') return [];
      try {
        await restore(first.tool, plan.input, signal);
        return plan.changes;
      } catch (error) {
        if (attempt === attempts || !mayPass(error)) throw error;
        logger.debug('iptables rules changed meanwhile, reading them again', { error: errorMessage(error) });
      }
      await clock.sleep(retryDelayMs, signal);
      saved = parseSave((await run([first.tool.save], { signal })).stdout);
    }
  }

  async function startFamily(
    family: Family,
    wanted: FamilyRules,
    after: Promise<unknown>,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    let views: Views;
    try {
      views = await lookAtIptables(look, family, signal);
    } catch (error) {
      // With nothing wanted, a host without iptables (or without IPv6) has nothing to clean.
      if (wantsSomething(wanted) || isAbortError(error)) throw error;
      if (!isProgramMissing(error))
        logger.debug(`cannot read ${iptablesNames[family]}`, { error: errorMessage(error) });
      return [];
    }
    chosen.set(family, views.chosen.tool);
    await after;
    const changes = [...(await settle(views.chosen, wanted, 'start', signal))];
    if (views.other) changes.push(...(await settle(views.other, noRules, 'start', signal)));
    return changes.map((change) => `${iptablesNames[family]} ${change}`);
  }

  async function resyncFamily(family: Family, wanted: FamilyRules, signal: AbortSignal): Promise<readonly string[]> {
    let tool = chosen.get(family);
    if (tool === undefined) {
      tool = (await lookAtIptables(look, family, signal)).chosen.tool;
      chosen.set(family, tool);
    }
    if (await isInPlace(family, tool, wanted, signal)) return [];
    const saved = parseSave((await run([tool.save], { signal })).stdout);
    const changes = await settle({ tool, saved }, wanted, 'resync', signal);
    return changes.map((change) => `${iptablesNames[family]} ${change}`);
  }

  /** False also when the check itself fails: the long way then finds out why. */
  async function isInPlace(family: Family, tool: Tool, wanted: FamilyRules, signal: AbortSignal): Promise<boolean> {
    const input = checkInput(wanted, tool.knowsRandomFully);
    const argv: [string, ...string[]] = [tool.restore, '--noflush', ...tool.lockWait];
    let checker = checkers.get(family);
    if (checker?.input !== input) {
      // That restore takes `-C` is not in its manual: believed only after it has refused a rule that can't exist.
      const probe = await run(argv, { input: impossibleInput(wanted), signal, allowFailure: true });
      checker = { input, repeater: probe.exitCode === 0 ? undefined : programs.repeat(argv, input) };
      checkers.set(family, checker);
    }
    return (await checker.repeater?.run(signal))?.exitCode === 0;
  }

  return {
    async start(wanted, signal) {
      const jobs = families.map((family) => startFamily(family, wanted[family] ?? noRules, Promise.resolve(), signal));
      return (await Promise.all(jobs)).flat();
    },
    async clean(after, signal) {
      return (await Promise.all(families.map((family) => startFamily(family, noRules, after, signal)))).flat();
    },
    async resync(wanted, signal) {
      const jobs = families.flatMap((family) => {
        const rules = wanted[family];
        return rules && wantsSomething(rules) ? [resyncFamily(family, rules, signal)] : [];
      });
      return (await Promise.all(jobs)).flat();
    },
  };
}

function wantsSomething(rules: FamilyRules): boolean {
  return sections.some((section) => rules[section.kind] !== undefined);
}

function refuseIncompatible(saved: Saved, wanted: FamilyRules): void {
  const table = sections.find((one) => wanted[one.kind] && saved.incompatible.has(one.table))?.table;
  if (table === undefined) return;
  throw new FlannelVpcError('HOST_COMMAND_FAILED', `the table ${table} holds rules that iptables can't handle`, {
    hint: 'This host is managed with nft: set "EnableNFTables": true in the net-conf.',
    details: { table },
  });
}

/** A refused line: somebody may have changed the rule it names. Not worth it after a long wait for the lock. */
function mayPass(error: unknown): boolean {
  return (
    isFlannelVpcError(error, 'HOST_COMMAND_FAILED') && !isProgramMissing(error) && !/xtables lock/.test(error.message)
  );
}
