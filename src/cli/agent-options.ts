/** The agent's options, from its flags and environment. */
import { FlannelVpcError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { LogFormat, LogLevel } from '../logging.ts';
import { agentFlags } from './agent-flags.ts';
import { type ParsedFlags, parseFlags } from './parse-flags.ts';

export interface AgentOptions {
  readonly etcd: {
    readonly endpoints: readonly string[];
    readonly prefix: string;
    readonly keyFile: string;
    readonly certFile: string;
    readonly caFile: string;
    readonly username: string;
    readonly password: Secret;
  };
  readonly interfaces: {
    readonly ifaces: readonly string[];
    readonly ifaceRegexes: readonly string[];
    readonly canReach: string;
    readonly publicIp: { readonly 4: string; readonly 6: string };
  };
  readonly subnetFile: string;
  readonly renewMarginMs: number;
  readonly host: {
    readonly ipMasq: boolean;
    readonly randomFully: boolean;
    readonly forwardRules: boolean;
    readonly blackholeRoute: boolean;
    /** Undefined: no bridge. */
    readonly bridge: string | undefined;
    readonly resyncMs: number;
  };
  readonly routeCheckIntervalMs: number;
  /** Undefined: no health server. */
  readonly health: { readonly ip: string; readonly port: number } | undefined;
  readonly log: { readonly format: LogFormat; readonly level: LogLevel };
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
  if (input.argv.some((argument) => /^--?(help|h)$/.test(argument))) return { kind: 'help' };
  const parsed = parseFlags({ ...input, flags: agentFlags });
  const get = reader(parsed);
  if (get.boolean('version')) return { kind: 'version' };
  if (get.boolean('kube-subnet-mgr')) {
    throw new FlannelVpcError(
      'CONFIG_INVALID',
      '--kube-subnet-mgr: leases in the Kubernetes API are not built yet in this version',
      {
        hint: 'Leave --kube-subnet-mgr out and keep the leases in etcd (--etcd-endpoints).',
      },
    );
  }
  const bridge = get.text('bridge');
  checkBridgeName(bridge);
  const port = get.number('healthz-port');
  const unused = agentFlags.filter((flag) => flag.unused !== undefined && parsed.given.has(flag.name));
  return {
    kind: 'run',
    options: {
      etcd: {
        endpoints: get.list('etcd-endpoints'),
        prefix: get.text('etcd-prefix'),
        keyFile: get.text('etcd-keyfile'),
        certFile: get.text('etcd-certfile'),
        caFile: get.text('etcd-cafile'),
        username: get.text('etcd-username'),
        password: new Secret(get.text('etcd-password')),
      },
      interfaces: {
        ifaces: get.list('iface').filter((name) => name !== ''),
        ifaceRegexes: get.list('iface-regex').filter((regex) => regex !== ''),
        canReach: get.text('iface-can-reach'),
        publicIp: { 4: get.text('public-ip'), 6: get.text('public-ipv6') },
      },
      subnetFile: get.text('subnet-file'),
      renewMarginMs: get.number('subnet-lease-renew-margin') * 60_000,
      host: {
        ipMasq: get.boolean('ip-masq'),
        randomFully: !get.boolean('ip-masq-fully-random-disable'),
        forwardRules: get.boolean('iptables-forward-rules'),
        blackholeRoute: get.boolean('ip-blackhole-route'),
        bridge: bridge === '' ? undefined : bridge,
        resyncMs: get.number('iptables-resync') * 1_000,
      },
      routeCheckIntervalMs: get.number('route-check-interval'),
      health: port === 0 ? undefined : { ip: get.text('healthz-ip'), port },
      log: {
        format: get.text('log-format') as LogFormat,
        level: get.number('v') > 0 ? 'debug' : (get.text('log-level') as LogLevel),
      },
      warnings: unused.map((flag) => `--${flag.name} has no effect: ${flag.unused}`),
      environmentProblems: parsed.environmentProblems,
    },
  };
}

/** The kernel's limit is 15 bytes (IFNAMSIZ), without slashes and blanks. */
function checkBridgeName(name: string): void {
  if (name === '' || (/^[^\s/:]{1,15}$/.test(name) && name !== '.' && name !== '..')) return;
  throw new FlannelVpcError('CONFIG_INVALID', `--bridge: ${JSON.stringify(name.slice(0, 64))} is no interface name`, {
    hint: 'Give a name of 1 to 15 characters without slash, colon or blank, such as cni0.',
  });
}

interface Reader {
  text(name: string): string;
  list(name: string): readonly string[];
  boolean(name: string): boolean;
  number(name: string): number;
}

/** Typed reading of values; the flag table decides the types, so a mismatch is a bug. */
function reader({ values }: ParsedFlags): Reader {
  const mismatch = (name: string): never => {
    throw new FlannelVpcError('INTERNAL', `flag ${name} has another type`);
  };
  return {
    text(name) {
      const value = values.get(name);
      return typeof value === 'string' ? value : mismatch(name);
    },
    list(name) {
      const value = values.get(name);
      return Array.isArray(value) ? value : mismatch(name);
    },
    boolean(name) {
      const value = values.get(name);
      return typeof value === 'boolean' ? value : mismatch(name);
    },
    number(name) {
      const value = values.get(name);
      return typeof value === 'number' ? value : mismatch(name);
    },
  };
}
