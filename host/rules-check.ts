/** Which of the rules wanted are not there: read and compared as a resync does, and nothing is changed. */
import { families } from '../src/core/ip.ts';
import { isProgramMissing } from './exec.ts';
import type { RulesIntent } from './host.ts';
import { iptablesNames, type LookParts, lookAtIptables } from './iptables-look.ts';
import { planRestore } from './iptables-plan.ts';
import { planResync } from './nftables-plan.ts';
import { familyWords, parseListing, tableNames } from './nftables-text.ts';
import { type FamilyRules, rulesOf } from './rules.ts';

/** One short phrase for each thing missing, such as `iptables FLANNEL-FWD: 2 missing rules`. @throws HOST_COMMAND_FAILED. */
export async function missingRules(
  parts: LookParts,
  intent: RulesIntent,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const wanted = rulesOf(intent);
  const found = await Promise.all(
    families.map(async (family) => {
      const rules = wanted[family];
      if (!rules || (!rules.masquerade && !rules.forward)) return [];
      return intent.renderer === 'iptables'
        ? await missingInIptables(parts, family, rules, signal).catch(async (error: unknown) => {
            // Without iptables the rules are nft's, and without both nobody's.
            if (!isProgramMissing(error)) throw error;
            return await missingInNftables(parts, family, rules, signal).catch(() => Promise.reject(error));
          })
        : await missingInNftables(parts, family, rules, signal);
    }),
  );
  // The plans say what they would do about it.
  return found
    .flat()
    .map((change) => change.replace(/missing jump to (\S+)/, 'no jump to $1').replace(/ restored$/, ''));
}

async function missingInIptables(
  parts: LookParts,
  family: 4 | 6,
  rules: FamilyRules,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { tool, saved } = (await lookAtIptables(parts, family, signal)).chosen;
  const { changes } = planRestore(saved, rules, 'resync', tool.knowsRandomFully);
  return changes.map((change) => `${iptablesNames[family]} ${change}`);
}

async function missingInNftables(
  { run }: LookParts,
  family: 4 | 6,
  rules: FamilyRules,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const argv: [string, ...string[]] = ['nft', '-j', 'list', 'table', familyWords[family], tableNames[family]];
  const { exitCode, stdout, stderr } = await run(argv, { signal, allowFailure: true });
  if (exitCode !== 0 && /No such file or directory/.test(stderr)) return [`nft table ${tableNames[family]}: missing`];
  if (exitCode !== 0) await run(argv, { signal });
  return planResync(family, parseListing(stdout), rules, new Map()).changes;
}
