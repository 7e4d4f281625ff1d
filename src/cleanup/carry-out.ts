/** Looks at this node, and carries a clean-up out. */
import type { Programs } from '../../host/exec.ts';
import { readLinks, readRoutes, runBatch } from '../../host/ip-json.ts';
import { createIptables } from '../../host/iptables.ts';
import { createNftables } from '../../host/nftables.ts';
import { rulesLeft } from '../../host/rules-left.ts';
import type { Clock } from '../core/clock.ts';
import { errorMessage, isAbortError } from '../core/errors.ts';
import { families } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import { findFiles, removePath } from './files.ts';
import type { CleanupOptions } from './options.ts';
import type { NodeFacts, Removal } from './plan.ts';

export interface CleanupParts {
  readonly programs: Programs;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Reads all that a plan rests on; changes nothing. @throws HOST_COMMAND_FAILED. */
export async function lookAtNode(
  { programs: { run }, logger }: CleanupParts,
  options: CleanupOptions,
  signal: AbortSignal,
): Promise<NodeFacts> {
  const files = await findFiles(options);
  const inUse = families.filter((family) => files.subnet?.networks[family]);
  const [links, rules, ...routes] = await Promise.all([
    readLinks(run, signal),
    rulesLeft({ run, logger }, signal),
    ...inUse.map((family) => readRoutes(run, family, ['show', 'table', 'main'], signal)),
  ]);
  return { links, rules, routes: Object.fromEntries(inUse.map((family, at) => [family, routes[at] ?? []])), files };
}

/**
 * Takes out what the list says, in its order. What fails keeps nothing else from going, but subnet.env stays then: it tells the next run
 * where to look. Returns why things failed, as short lines; a look afterwards tells what is left.
 */
export async function carryOut(
  parts: CleanupParts,
  removals: readonly Removal[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const failures: string[] = [];
  const attempt = async (effect: () => Promise<unknown>): Promise<void> => {
    try {
      await effect();
    } catch (error) {
      if (isAbortError(error)) throw error;
      failures.push(errorMessage(error));
    }
  };
  const removePaths = async (last: boolean): Promise<void> => {
    for (const { by, last: isLast = false } of removals) {
      if (isLast === last && (by.kind === 'file' || by.kind === 'folder'))
        await attempt(() => removePath(by.path, by.kind));
    }
  };
  await removePaths(false);
  const commands = removals.flatMap(({ by }) => (by.kind === 'ip' ? [by.command] : []));
  await attempt(() => runBatch(parts.programs.run, commands, signal, { keepGoing: true }));
  if (removals.some(({ by }) => by.kind === 'rules')) {
    await attempt(() => createIptables(parts).clean(Promise.resolve(), signal));
    await attempt(() => createNftables(parts).clean(Promise.resolve(), signal));
  }
  if (failures.length === 0) await removePaths(true);
  return failures;
}
