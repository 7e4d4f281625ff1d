/**
 * The seam to this node's kernel and files. `apply` is idempotent and atomic per rule set, compares before it writes, and
 * never touches a rule, link or route that is not ours.
 *
 * Throws HOST_COMMAND_FAILED (details: argv, exit code, first lines of stderr; a missing program has its own hint),
 * INTERFACE_NOT_FOUND, CONFIG_INVALID, or an AbortError.
 */

import type { Cidr, Ip, PerFamily } from '../src/core/ip.ts';
import type { ForwardingEntry, GatewayRoute, NeighbourEntry, VxlanLink } from '../src/core/peer-network.ts';
import type { ShellCommand } from '../src/core/shell-command.ts';
import type { CniNetwork } from './cni-conflist.ts';
import type { EchoRequests } from './echo.ts';

/** flannel's interface flags; see `docs` of flannel's configuration, section interface selection. */
export interface InterfaceSelection {
  /** `--iface`, in order: names or addresses; an empty text, as of a variable that is not set, is the default route's. */
  readonly ifaces: readonly string[];
  /** `--iface-regex`, in order; an empty one is the default route's, too. */
  readonly ifaceRegexes: readonly string[];
  /** `--iface-can-reach`, or `''`. */
  readonly canReach: string;
  /** `--public-ip` / `--public-ipv6` as given, or `''`. */
  readonly publicIp: PerFamily<string>;
  /** Families that net-conf enables. */
  readonly families: readonly (4 | 6)[];
}

export interface ExternalInterface {
  readonly name: string;
  readonly index: number;
  readonly mtu: number;
  /** Address of the interface, per enabled family. */
  readonly addresses: PerFamily<Ip>;
  /** Address others reach this host by: the public-ip flag, else the interface's. */
  readonly publicIps: PerFamily<Ip>;
}

export interface BridgeState {
  readonly name: string;
  /** The subnet's first address with the subnet's length, per family. */
  readonly addresses: readonly { readonly ip: Ip; readonly length: number }[];
  readonly mtu: number;
}

/** How pods' packets to the outside get this node's address. */
export interface MasqueradeIntent {
  /** Source ports at random, where the tool can. */
  readonly randomFully: boolean;
  /** Towards these pods keep their own address. */
  readonly nonMasqueradeCidrs: readonly Cidr[];
  /** Masqueraded although they lie in one of those: a VPC's resolver answers addresses of the VPC alone. */
  readonly resolvers?: readonly Ip[] | undefined;
}

/** The packet rules wanted, as intent; `host/rules.ts` turns it into one rule list, and renderers into text. */
export interface RulesIntent {
  readonly renderer: 'iptables' | 'nftables';
  /** undefined: masquerade is off, and rules of ours from an earlier run go. */
  readonly masquerade: MasqueradeIntent | undefined;
  readonly forward: boolean;
  /** Per enabled family: the whole network and this node's subnet. */
  readonly families: PerFamily<{ readonly network: Cidr; readonly subnet: Cidr }>;
}

/** Addresses that probes of this node are answered on. */
export interface ProbeAddressState {
  /** This node's subnets: each gives one address (`src/core/probe-address.ts`). */
  readonly subnets: readonly Cidr[];
  /** The fence: only probe addresses of subnets of these networks are ever removed. */
  readonly networks: PerFamily<{ readonly network: Cidr; readonly subnetLength: number }>;
}

export interface HostState {
  /** Families whose forwarding sysctl must be on. */
  readonly forwarding: readonly (4 | 6)[];
  readonly bridge: BridgeState | undefined;
  /** Undefined for backends without links of their own. */
  readonly overlay?: OverlayState | undefined;
  readonly rules: RulesIntent;
  /** `--ip-blackhole-route`: blackhole routes for the own subnets. */
  readonly blackholeRoutes: readonly Cidr[];
  /** Undefined: none, and those that are there are left alone. */
  readonly probe?: ProbeAddressState | undefined;
}

/** Routes to peers and what belongs to them, for backends that need no cloud. */
export interface PeerNetworkState {
  /** The interface they go by. */
  readonly device: string;
  /** The fence: only routes to subnets of these networks are ever removed. */
  readonly networks: PerFamily<{ readonly network: Cidr; readonly subnetLength: number }>;
  readonly routes: readonly GatewayRoute[];
  /** Links that are the backend's own: what stands on them and is not listed here goes. */
  readonly links?: readonly string[] | undefined;
  /**
   * Addresses of peers that packets go to as if there were no route to a single subnet and no such link. Those not listed any more go
   * back to how they went.
   */
  readonly detours?: readonly Ip[] | undefined;
  /** On those links. */
  readonly neighbours?: readonly NeighbourEntry[] | undefined;
  /** On those links. */
  readonly forwarding?: readonly ForwardingEntry[] | undefined;
}

/** The backend's own links with this node's addresses on them. */
export interface OverlayState {
  readonly links: readonly VxlanLink[];
  /** Each subnet's network address, as a host address on the link of its family. */
  readonly subnets: PerFamily<Cidr>;
}

/** What `apply` changed, as short lines for the log; empty when all was in place. */
export interface HostReport {
  readonly changes: readonly string[];
}

/** What `applyPeerNetwork` did. */
export interface PeerNetworkReport extends HostReport {
  /** What the kernel would not have. */
  readonly refused: readonly string[];
  /** The addresses of `detours` that packets go to by the way asked for. There may be no such way. */
  readonly detoured: readonly Ip[];
}

export interface SubnetFile {
  readonly networks: PerFamily<Cidr>;
  /** FLANNEL_SUBNET: an interface address, host bits kept. */
  readonly subnets: PerFamily<{ readonly ip: Ip; readonly length: number }>;
  readonly mtu: number;
  readonly ipMasq: boolean;
}

export interface Host {
  /** Chooses the interface by flannel's rules. @throws INTERFACE_NOT_FOUND listing what each rule saw. */
  findExternalInterface(selection: InterfaceSelection, signal: AbortSignal): Promise<ExternalInterface>;

  /** The link's addresses, both families, by a look that costs no process; none while it is away, down or without a carrier. */
  addressesOf(device: string): readonly Ip[];

  /** Name servers that programs of this host ask, as `/etc/resolv.conf` has them; none where it can't be read. */
  nameservers(): Promise<readonly Ip[]>;

  /**
   * Brings the kernel to the state. `start` also removes what earlier versions and settings left and takes our chains back
   * wholly; `resync` repairs what is missing.
   */
  apply(state: HostState, phase: 'start' | 'resync', signal: AbortSignal): Promise<HostReport>;

  /**
   * Makes the links, or takes those that are there over where they fit, link-layer addresses included: what is given back is what
   * stands. One that does not fit is made anew. `present` are only those that were asked for.
   */
  ensureLinks(
    links: readonly VxlanLink[],
    signal: AbortSignal,
  ): Promise<HostReport & { readonly present: readonly VxlanLink[] }>;

  /** Networks whose hosts the interface reaches without a gateway. */
  onLinkNetworks(device: string, signal: AbortSignal): Promise<readonly Cidr[]>;

  /** Networks that containers on this bridge live on; empty for a bridge without ports, and for none. */
  networksInUse(bridge: string, signal: AbortSignal): Promise<readonly Cidr[]>;

  /** Brings the routes to peers in place, and takes out those of former peers. */
  applyPeerNetwork(state: PeerNetworkState, signal: AbortSignal): Promise<PeerNetworkReport>;

  /** Makes strict reverse path filters of the interfaces loose: replies may come in by another one. */
  loosenReversePath(devices: readonly string[]): Promise<HostReport>;

  /** Sends echo requests, and gives how many were answered. */
  countEchoes(requests: EchoRequests, signal: AbortSignal): Promise<number>;

  /** Runs a command of net-conf's author; its output, trimmed. @throws HOST_COMMAND_FAILED also after a deadline of its own. */
  runCommand(command: ShellCommand, signal: AbortSignal): Promise<string>;

  /** What subnet.env says, or undefined (absent, or not parsable: logged, never fatal). */
  readSubnetFile(path: string): Promise<SubnetFile | undefined>;

  /** Writes subnet.env atomically (temporary file, fsync, rename), mode 0644, directory 0755. */
  writeSubnetFile(path: string, file: SubnetFile): Promise<void>;

  /** Takes away a CNI conflist that hands out other subnets than these; true when there was one. */
  withdrawConflist(path: string, subnets: PerFamily<Cidr>): Promise<boolean>;

  /** Writes the CNI conflist, atomically as well; false when it stood there already. */
  writeConflist(path: string, network: CniNetwork): Promise<boolean>;
}
