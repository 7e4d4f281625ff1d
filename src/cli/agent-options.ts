/** The agent's options, from its flags and environment. */
import { FlannelVpcError } from '../core/errors.ts';
import type { KubernetesFlags } from '../stores.ts';
import { agentFlags } from './agent-flags.ts';
import { type EtcdOptions, etcdOptions, type LogOptions, logOptions, readFlags } from './flag-reader.ts';
import { kubernetesFlags } from './kubernetes-flags.ts';
import { parseFlags } from './parse-flags.ts';

export interface AgentOptions {
  readonly etcd: EtcdOptions;
  /** Undefined: leases are in etcd. */
  readonly kubernetes: KubernetesFlags | undefined;
  readonly interfaces: {
    readonly ifaces: readonly string[];
    readonly ifaceRegexes: readonly string[];
    readonly canReach: string;
    readonly publicIp: { readonly 4: string; readonly 6: string };
  };
  /** `--backend-type`, in place of net-conf's; undefined: net-conf's. */
  readonly backendType: string | undefined;
  readonly subnetFile: string;
  /** `--cni-conf`, and the bridge it names; undefined for none. */
  readonly cniConf: { readonly path: string; readonly bridge: string } | undefined;
  readonly renewMarginMs: number;
  readonly host: {
    readonly ipMasq: boolean;
    readonly randomFully: boolean;
    readonly forwardRules: boolean;
    readonly blackholeRoute: boolean;
    /** Undefined: no bridge. */
    readonly bridge: string | undefined;
    readonly resyncMs: number;
    /** Probes are on. */
    readonly probed: boolean;
  };
  readonly probe: { readonly port: number; readonly intervalMs: number };
  readonly routeCheckIntervalMs: number;
  /** Undefined: no health server. */
  readonly health: { readonly ip: string; readonly port: number } | undefined;
  readonly log: LogOptions;
  /** Things to say once logging works: environment variables left out, flags without a meaning. */
  readonly warnings: readonly string[];
  /** Environment values that can't be read; flannel logs these as errors. */
  readonly environmentProblems: readonly string[];
}

export type AgentCommand =
  | { readonly kind: 'run'; readonly options: AgentOptions }
  | { readonly kind: 'version' }
  | { readonly kind: 'help' };

export interface AgentInput {
  /** Without the program's name and the word `agent`. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads flags and environment.
 *
 * @throws USAGE (exit code 2) or CONFIG_INVALID (exit code 1), see `parseFlags`.
 */
export function parseAgentOptions(input: AgentInput): AgentCommand {
  const parsed = parseFlags({ ...input, flags: agentFlags, asGo: true });
  if (parsed.help) return { kind: 'help' };
  const get = readFlags(parsed);
  if (get.boolean('version')) return { kind: 'version' };
  checkBridgeName(get.text('bridge'));
  checkSubnetFile(get.text('subnet-file'));
  const conflist = conflistPath(get.text('cni-conf'));
  // The plugin would make it too. Made by the agent it stands before the first pod, and is repaired.
  const bridge = get.text('bridge') || (conflist === undefined ? undefined : 'cni0');
  const port = get.number('healthz-port');
  const resync = resyncSeconds(get.number('iptables-resync'));
  const unused = agentFlags.filter((flag) => flag.unused !== undefined && parsed.given.has(flag.name));
  return {
    kind: 'run',
    options: {
      etcd: etcdOptions(get),
      kubernetes: kubernetesFlags(get, { setCondition: get.boolean('set-node-network-unavailable') }),
      interfaces: {
        ifaces: get.list('iface'),
        ifaceRegexes: get.list('iface-regex'),
        canReach: get.text('iface-can-reach'),
        publicIp: { 4: get.text('public-ip'), 6: get.text('public-ipv6') },
      },
      backendType: get.text('backend-type') || undefined,
      subnetFile: get.text('subnet-file'),
      cniConf: conflist !== undefined && bridge !== undefined ? { path: conflist, bridge } : undefined,
      renewMarginMs: get.number('subnet-lease-renew-margin') * 60_000,
      host: {
        ipMasq: get.boolean('ip-masq'),
        randomFully: !get.boolean('ip-masq-fully-random-disable'),
        forwardRules: get.boolean('iptables-forward-rules'),
        blackholeRoute: get.boolean('ip-blackhole-route'),
        bridge,
        resyncMs: resync.seconds * 1_000,
        probed: get.number('probe-port') !== 0,
      },
      probe: { port: get.number('probe-port'), intervalMs: get.number('probe-interval') },
      routeCheckIntervalMs: get.number('route-check-interval'),
      health: port <= 0 ? undefined : { ip: get.text('healthz-ip'), port },
      log: { ...logOptions(get), ...(get.number('v') > 0 ? { level: 'debug' as const } : {}) },
      warnings: [
        ...unused.map((flag) => `--${flag.name} has no effect: ${flag.unused}`),
        ...ignoredWarning(parsed.ignored),
        ...resync.warnings,
      ],
      environmentProblems: parsed.environmentProblems,
    },
  };
}

/** flannel runs with any, and one out of bounds is no reason to keep a node off: the nearest is meant. */
function resyncSeconds(asked: number): { readonly seconds: number; readonly warnings: readonly string[] } {
  const seconds = Math.min(Math.max(asked, 1), 86_400);
  return { seconds, warnings: seconds === asked ? [] : [`--iptables-resync=${asked} counts as ${seconds}`] };
}

/** Secrets may be among them, so only the first is shown, and only where it is no flag. */
function ignoredWarning(ignored: readonly string[]): readonly string[] {
  const [first] = ignored;
  if (first === undefined) return [];
  const what = /^-./.test(first) ? 'what follows --' : `${JSON.stringify(first.slice(0, 64))} and what follows it`;
  return [`${what} on the command line is not read: flags end there, and a switch is turned off by --flag=false`];
}

/** The kernel's limit is 15 bytes (IFNAMSIZ), without slashes and blanks. */
function checkBridgeName(name: string): void {
  if (name === '' || (/^[^\s/:]{1,15}$/.test(name) && name !== '.' && name !== '..')) return;
  throw new FlannelVpcError('CONFIG_INVALID', `--bridge: ${JSON.stringify(name.slice(0, 64))} is no interface name`, {
    hint: 'Give a name of 1 to 15 characters without slash, colon or blank, such as cni0.',
  });
}

/** Without a file no runtime learns the subnet, and the node would never be ready: better said before it leases one. */
function checkSubnetFile(path: string): void {
  if (path !== '') return;
  throw new FlannelVpcError('CONFIG_INVALID', '--subnet-file: "" names no file', {
    hint: 'Name a file, or leave the flag out for /run/flannel/subnet.env.',
  });
}

/** Runtimes pass over a file of another name, and take the text of a `.conf` or `.json` for another format. */
function conflistPath(path: string): string | undefined {
  if (path === '') return undefined;
  if (/[^/]\.conflist$/.test(path)) return path;
  throw new FlannelVpcError('CONFIG_INVALID', `--cni-conf: ${JSON.stringify(path)} does not end in .conflist`, {
    hint: 'Name a file, such as /etc/cni/net.d/10-flannel-vpc.conflist.',
  });
}
