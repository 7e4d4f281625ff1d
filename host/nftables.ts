/** Brings our two nft tables to what is wanted: listed as JSON, planned (pure), written in one transaction. */
import type { Clock } from '../src/core/clock.ts';
import { errorMessage, FlannelVpcError, isAbortError, isFlannelVpcError } from '../src/core/errors.ts';
import { type Family, families, type PerFamily } from '../src/core/ip.ts';
import type { Logger } from '../src/core/log.ts';
import { isProgramMissing, type Programs } from './exec.ts';
import { formsOf, planResync, planStart } from './nftables-plan.ts';
import { familyWords, type ListedTable, parseListing, tableNames, tablePath, tableText } from './nftables-text.ts';
import type { Repeater } from './repeater.ts';
import { type FamilyRules, noRules } from './rules.ts';

export interface Nftables {
  /** Makes both tables exactly the wanted ones (flannel makes both always, empty for a family not in use). */
  start(wanted: PerFamily<FamilyRules>, signal: AbortSignal): Promise<readonly string[]>;
  /** Repairs what is missing; one process for each family in use while nothing is. */
  resync(wanted: PerFamily<FamilyRules>, signal: AbortSignal): Promise<readonly string[]>;
  /** Deletes both tables where they exist, not before `after` is done. A host without nft has none. */
  clean(after: Promise<unknown>, signal: AbortSignal): Promise<readonly string[]>;
}

/** A handle may be gone between reading and writing; then both are done again. */
const attempts = 3;
const retryDelayMs = 50;

export function createNftables(deps: {
  readonly programs: Programs;
  readonly logger: Logger;
  readonly clock: Clock;
}): Nftables {
  const { programs, logger, clock } = deps;
  const { run } = programs;
  const forms = new Map<string, string>();
  /** What nft printed when all was last seen in place (handles included, so any change shows), and for which rules. */
  const good = new Map<Family, { readonly rules: string; readonly output: string }>();
  const listers = new Map<Family, Repeater>();

  /** undefined: no such table. One process per table: `nft list tables` reads every rule of the host (75 ms for 5,000). */
  async function list(family: Family, signal: AbortSignal): Promise<ListedTable | undefined> {
    const argv = listArgv(family);
    const result = await run(argv, { signal, allowFailure: true });
    if (result.exitCode !== 0) {
      if (/No such file or directory/.test(result.stderr)) return undefined;
      throw new FlannelVpcError(
        'HOST_COMMAND_FAILED',
        `\`${argv.join(' ')}\` failed: ${result.stderr.split('\n', 1)[0]}`,
        {
          hint: 'nft needs root, and a kernel with nf_tables.',
          details: { argv, exitCode: result.exitCode, stderr: result.stderr.split('\n').slice(0, 5) },
        },
      );
    }
    try {
      return parseListing(result.stdout);
    } catch (error) {
      throw new FlannelVpcError('HOST_COMMAND_FAILED', `cannot read what \`${argv.join(' ')}\` printed`, {
        hint: 'Is this nft built with JSON, and not older than 0.9.1?',
        cause: error,
        details: { argv },
      });
    }
  }

  /** As an argument, not on standard input: a script cut short by our own death could be valid and half. */
  async function write(script: string, signal: AbortSignal): Promise<void> {
    await run(['nft', script], { signal });
  }

  async function settle(
    wanted: PerFamily<FamilyRules>,
    members: readonly Family[],
    plan: typeof planStart,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    for (let attempt = 1; ; attempt++) {
      const plans = await Promise.all(
        members.map(async (family) => plan(family, await list(family, signal), wanted[family] ?? noRules, forms)),
      );
      const script = plans.map((one) => one.script).join('');
      if (script === '') return [];
      try {
        await write(script, signal);
        await learnForms(
          wanted,
          members.filter((_, index) => plans[index]?.script !== ''),
          signal,
        );
        return plans.flatMap((one) => one.changes);
      } catch (error) {
        if (attempt === attempts || !isFlannelVpcError(error) || isProgramMissing(error)) throw error;
        logger.debug('nft rules changed meanwhile, reading them again', { error: errorMessage(error) });
      }
      await clock.sleep(retryDelayMs, signal);
    }
  }

  async function learnForms(
    wanted: PerFamily<FamilyRules>,
    members: readonly Family[],
    signal: AbortSignal,
  ): Promise<void> {
    for (const family of members) {
      const rules = wanted[family];
      const listed = rules && (await list(family, signal));
      if (listed) for (const [text, expr] of formsOf(family, listed, rules)) forms.set(text, expr);
    }
  }

  /** What nft prints for the table now; undefined when it fails. Cheaper than {@link list}. */
  async function glance(family: Family, signal: AbortSignal): Promise<string | undefined> {
    const lister = listers.get(family) ?? programs.repeat(listArgv(family), '');
    listers.set(family, lister);
    const result = await lister.run(signal);
    return result?.exitCode === 0 ? result.stdout : undefined;
  }

  async function resyncFamily(
    family: Family,
    wanted: PerFamily<FamilyRules>,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const rules = tableText(family, wanted[family] ?? noRules);
    const output = await glance(family, signal);
    const last = good.get(family);
    if (output !== undefined && last?.output === output && last.rules === rules) return [];
    const changes = await settle(wanted, [family], planResync, signal);
    // Printed before it was found in place: what changed in between shows the next time.
    if (output !== undefined && changes.length === 0) good.set(family, { rules, output });
    return changes;
  }

  async function exists(family: Family, signal: AbortSignal): Promise<boolean> {
    try {
      return (await list(family, signal)) !== undefined;
    } catch (error) {
      if (isAbortError(error)) throw error;
      if (!isProgramMissing(error)) logger.debug('cannot ask nft for tables of ours', { error: errorMessage(error) });
      return false;
    }
  }

  return {
    start: (wanted, signal) => settle(wanted, families, planStart, signal),
    async resync(wanted, signal) {
      const jobs = families.flatMap((family) => (wanted[family] ? [resyncFamily(family, wanted, signal)] : []));
      return (await Promise.all(jobs)).flat();
    },
    async clean(after, signal) {
      const found = await Promise.all(families.map((family) => exists(family, signal)));
      const left = families.filter((_, index) => found[index]);
      if (left.length === 0) return [];
      await after;
      // `add` first: `delete` refuses a table that has gone meanwhile.
      await write(left.map((one) => `add table ${tablePath(one)}\ndelete table ${tablePath(one)}\n`).join(''), signal);
      return left.map((one) => `nft ${tableNames[one]}: removed`);
    },
  };
}

function listArgv(family: Family): [string, ...string[]] {
  return ['nft', '-j', 'list', 'table', familyWords[family], tableNames[family]];
}
