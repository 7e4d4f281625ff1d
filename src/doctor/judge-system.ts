/** The machine's clock and the programs the agent drives. Pure. */
import { type Finding, failed, ok, warning } from './findings.ts';

export interface ClockFacts {
  /** This clock minus the metadata server's, milliseconds, to the second; undefined where it told no time. */
  readonly aheadMs: number | undefined;
  /** systemd's word: `yes` or `no`; undefined where it can't be asked. */
  readonly synchronized: string | undefined;
}

/** AWS refuses signatures that are more than five minutes off; other clouds take some more. */
const refusedMs = 5 * 60_000;
/** To the second, with an answer under way: less than this is no difference. */
const noticedMs = 10_000;

/** A clock that is off makes the cloud refuse every call. */
export function judgeClock({ aheadMs, synchronized }: ClockFacts): Finding {
  const check = 'clock';
  const remedy =
    'Let chrony or systemd-timesyncd set it (clouds have a time source of their own): "timedatectl set-ntp true".';
  if (aheadMs !== undefined && Math.abs(aheadMs) >= noticedMs) {
    const found = `is ${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the metadata server’s`;
    return Math.abs(aheadMs) >= refusedMs
      ? failed(check, `${found}: clouds refuse signatures and tokens that are minutes off`, remedy)
      : warning(check, found, remedy);
  }
  if (synchronized === 'no') return warning(check, 'nothing keeps it right (NTPSynchronized=no)', remedy);
  if (aheadMs !== undefined) return ok(check, 'agrees with the metadata server’s');
  if (synchronized === 'yes') return ok(check, 'is kept right (NTPSynchronized=yes)');
  return warning(check, 'nobody here could tell whether it is right', remedy);
}

export interface ProgramFacts {
  readonly renderer: 'iptables' | 'nftables';
  /** First line of each program's version, or undefined where it is not installed. */
  readonly versions: Readonly<Record<'ip' | 'iptables' | 'iptables-restore' | 'nft', string | undefined>>;
  /** The two variants of iptables that both hold rules of others. */
  readonly mixed: readonly string[];
}

/** What the agent starts must be there, and one variant of iptables must hold the rules. */
export function judgePrograms({ renderer, versions, mixed }: ProgramFacts): readonly Finding[] {
  const needed = renderer === 'iptables' ? (['ip', 'iptables', 'iptables-restore'] as const) : (['ip', 'nft'] as const);
  const packages: Readonly<Record<string, string>> = { ip: 'iproute2', nft: 'nftables' };
  const missing = needed.filter((name) => versions[name] === undefined);
  const findings: Finding[] = missing.map((name) =>
    failed(`program ${name}`, 'is not installed', `Install the package ${packages[name] ?? 'iptables'}.`),
  );
  if (missing.length === 0) findings.push(ok('programs', needed.flatMap((name) => versions[name] ?? []).join('; ')));
  if (mixed.length > 1) {
    findings.push(
      warning(
        'iptables variants',
        `${mixed.join(' and ')} both hold rules: packets meet both, and each program shows only its own`,
        'Let all programs use one (update-alternatives --config iptables), and restart the node.',
      ),
    );
  }
  return findings;
}
