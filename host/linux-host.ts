/** The Host of a Linux machine, through its own programs: iproute2, iptables, nftables. */
import { type Clock, systemClock } from '../src/core/clock.ts';
import { errorMessage, isAbortError } from '../src/core/errors.ts';
import type { PerFamily } from '../src/core/ip.ts';
import type { Logger } from '../src/core/log.ts';
import { ensureBlackholes } from './blackhole.ts';
import { ensureBridge, networksInUse } from './bridge.ts';
import { withdrawConflist, writeConflist } from './cni-conflist.ts';
import { countEchoes } from './echo.ts';
import { createPrograms, isProgramMissing, type Programs } from './exec.ts';
import type { Host, HostState } from './host.ts';
import { addressesOf } from './interface-addresses.ts';
import { chooseInterface } from './interface-choice.ts';
import { readNetworkFacts } from './interface-reader.ts';
import { createIptables, type Iptables } from './iptables.ts';
import { createNftables, type Nftables } from './nftables.ts';
import { ensurePeerNetwork, onLinkNetworks } from './peer-network.ts';
import { ensureProbeAddresses } from './probe-address.ts';
import { nameservers } from './resolv-conf.ts';
import { loosenReversePath } from './reverse-path.ts';
import { type FamilyRules, rulesOf } from './rules.ts';
import { runShellCommand } from './shell-command.ts';
import { readSubnetFile, writeSubnetFile } from './subnet-file.ts';
import { enableForwarding, missingBridgeNetfilter } from './sysctls.ts';
import { ensureOverlay, ensureVxlanLinks } from './vxlan-links.ts';

export interface LinuxHostOptions {
  readonly logger: Logger;
  readonly clock?: Clock;
  /** How programs are started; tests count or delay them here. */
  readonly programs?: Programs;
}

/**
 * Makes the host. It holds no resource; what it keeps in memory (which iptables variant was chosen, how nft lists our
 * rules) only saves processes.
 */
export function createLinuxHost(options: LinuxHostOptions): Host {
  const { logger, clock = systemClock, programs = createPrograms() } = options;
  const { run } = programs;
  const iptables = createIptables({ programs, logger, clock });
  const nftables = createNftables({ programs, logger, clock });

  /** iptables was asked for, and is not there: nft writes the rules. */
  let withoutIptables = false;

  async function applyRules(
    state: HostState,
    phase: 'start' | 'resync',
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const wanted = rulesOf(state.rules);
    const byNft = state.rules.renderer === 'nftables' || withoutIptables;
    if (phase === 'resync') return (byNft ? nftables : iptables).resync(wanted, signal);
    if (state.rules.renderer === 'nftables') return replaceRules(nftables, iptables, wanted, signal);
    try {
      const changes = await replaceRules(iptables, nftables, wanted, signal);
      withoutIptables = false;
      return changes;
    } catch (error) {
      if (!isProgramMissing(error)) throw error;
      return replaceRules(nftables, iptables, wanted, signal).then(
        (changes) => {
          if (!withoutIptables) logger.warn('iptables is not installed here: the rules are written by nft');
          withoutIptables = true;
          return changes;
        },
        // Of two programs that are missing the one that was asked for is named.
        (other: unknown) => Promise.reject(isProgramMissing(other) ? error : other),
      );
    }
  }

  async function replaceRules(
    writer: Iptables | Nftables,
    other: Iptables | Nftables,
    wanted: PerFamily<FamilyRules>,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const written = writer.start(wanted, signal);
    // Read side by side; removed only after the new rules are in, so that no packet meets none.
    const cleaned = other.clean(written, signal).catch(async (error: unknown) => {
      await written;
      if (isAbortError(error)) throw error;
      logger.warn('rules of the other kind could not be removed', { error: errorMessage(error) });
      return [];
    });
    return (await Promise.all([written, cleaned])).flat();
  }

  /** The probe address first: kernels before 5.14 take a bridge's network address for a broadcast unless it is local already. */
  async function applyLinks({ probe, overlay, bridge }: HostState, signal: AbortSignal): Promise<readonly string[]> {
    const addresses = probe ? await ensureProbeAddresses(run, probe, signal) : [];
    const links = overlay ? await ensureOverlay(run, overlay, signal) : [];
    return [...addresses, ...links, ...(bridge ? await ensureBridge(run, bridge, signal) : [])];
  }

  async function warnWithoutBridgeNetfilter(state: HostState): Promise<void> {
    const missing = await missingBridgeNetfilter(state.forwarding);
    if (missing.length === 0) return;
    logger.warn('br_netfilter is not loaded: packets between pods of one bridge pass by iptables', {
      missing,
      hint: 'Run "modprobe br_netfilter", or set EnableNFTables.',
    });
  }

  return {
    async findExternalInterface(selection, signal) {
      return chooseInterface(selection, await readNetworkFacts(run, selection, signal));
    },

    addressesOf,
    nameservers,

    async apply(state, phase, signal) {
      if (phase === 'start' && state.rules.renderer === 'iptables') await warnWithoutBridgeNetfilter(state);
      const parts = await Promise.all([
        enableForwarding(run, state.forwarding, signal),
        applyLinks(state, signal),
        applyRules(state, phase, signal),
      ]);
      // As flannel: first after one resync period; and after the bridge, whose route must come first.
      const blackholes = phase === 'resync' ? await ensureBlackholes(run, state.blackholeRoutes, signal) : [];
      return { changes: [...parts.flat(), ...blackholes] };
    },

    networksInUse: (bridge, signal) => networksInUse(run, bridge, signal),
    applyPeerNetwork: (state, signal) => ensurePeerNetwork(run, state, signal),
    ensureLinks: (links, signal) => ensureVxlanLinks(run, links, signal),
    loosenReversePath: async (devices) => ({ changes: await loosenReversePath(devices) }),
    countEchoes: (requests, signal) => countEchoes(run, requests, signal),
    onLinkNetworks: (device, signal) => onLinkNetworks(run, device, signal),
    runCommand: (command, signal) => runShellCommand(command, signal),

    readSubnetFile: (path) => readSubnetFile(path, logger),
    writeSubnetFile,
    withdrawConflist,
    writeConflist,
  };
}
