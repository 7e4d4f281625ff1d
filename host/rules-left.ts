/** The packet rules of ours that stand on this host, in whatever form: read only. */
import { existsSync } from 'node:fs';
import { type Family, families } from '../src/core/ip.ts';
import { isProgramMissing } from './exec.ts';
import { iptablesNames, type LookParts, lookAtIptables, type Views } from './iptables-look.ts';
import { planRestore } from './iptables-plan.ts';
import { familyWords, tableNames } from './nftables-text.ts';
import { noRules } from './rules.ts';

/**
 * One short phrase for each thing that a clean-up would take out, such as `iptables FLANNEL-FWD`: both families, both variants of
 * iptables, and nft's tables. @throws HOST_COMMAND_FAILED where they can't be read.
 */
export async function rulesLeft(parts: LookParts, signal: AbortSignal): Promise<readonly string[]> {
  const found = await Promise.all(
    families.map(async (family) => [
      ...(await leftInIptables(parts, family, signal)),
      ...(await leftInNftables(parts, family, signal)),
    ]),
  );
  return found.flat();
}

async function leftInIptables(parts: LookParts, family: Family, signal: AbortSignal): Promise<readonly string[]> {
  // Some ip6tables refuse to be asked where the kernel has no IPv6.
  if (family === 6 && !existsSync('/proc/net/if_inet6')) return [];
  let views: Views;
  try {
    views = await lookAtIptables(parts, family, signal);
  } catch (error) {
    if (isProgramMissing(error)) return [];
    throw error;
  }
  return [views.chosen, views.other].flatMap((view) => {
    if (!view) return [];
    const { changes } = planRestore(view.saved, noRules, 'start', view.tool.knowsRandomFully);
    const variant = view.saved.variant === 'legacy' ? ' (legacy)' : '';
    // The plan says what it would do about it.
    return changes.map((change) => `${iptablesNames[family]}${variant} ${change.replace(/: removed$/, '')}`);
  });
}

async function leftInNftables({ run }: LookParts, family: Family, signal: AbortSignal): Promise<readonly string[]> {
  const argv: [string, ...string[]] = ['nft', 'list', 'table', familyWords[family], tableNames[family]];
  try {
    const { exitCode, stderr } = await run(argv, { signal, allowFailure: true });
    if (exitCode === 0) return [`nft table ${tableNames[family]}`];
    // A kernel without nf_tables has no tables, and says so in several ways.
    if (/not permitted|permission denied/i.test(stderr)) await run(argv, { signal });
    return [];
  } catch (error) {
    if (isProgramMissing(error)) return [];
    throw error;
  }
}
