/** The controller's options, from its flags and environment. */
import { controllerFlags } from '../cli/controller-flags.ts';
import { etcdOptions, type LogOptions, logOptions, readFlags } from '../cli/flag-reader.ts';
import { kubernetesFlags } from '../cli/kubernetes-flags.ts';
import { parseFlags } from '../cli/parse-flags.ts';
import { FlannelVpcError } from '../core/errors.ts';
import { defaultDeletionPolicy } from '../routing/route-plan.ts';
import type { StoreChoice } from '../stores.ts';
import type { ControllerOptions } from './controller.ts';

export interface ControllerCommandOptions extends StoreChoice {
  readonly controller: Omit<ControllerOptions, 'election'> & { readonly termMs: number; readonly retryMs: number };
  /** Undefined: no server. */
  readonly health: { readonly ip: string; readonly port: number } | undefined;
  readonly log: LogOptions;
  /** Environment values that can't be read. */
  readonly environmentProblems: readonly string[];
}

/** @throws USAGE (exit code 2) or CONFIG_INVALID (exit code 1), see `parseFlags`. */
export function parseControllerOptions(input: {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}): ControllerCommandOptions | 'help' {
  if (input.argv.some((argument) => /^--?(help|h)$/.test(argument))) return 'help';
  const parsed = parseFlags({ ...input, flags: controllerFlags });
  const get = readFlags(parsed);
  const termMs = get.number('leader-elect-lease-duration');
  const retryMs = get.number('leader-elect-retry-period');
  if (retryMs * 2 > termMs) {
    throw new FlannelVpcError(
      'CONFIG_INVALID',
      `--leader-elect-retry-period: ${retryMs / 1_000}s is more than half of --leader-elect-lease-duration (${termMs / 1_000}s)`,
      { hint: 'A leader must be able to miss a keepalive; give a shorter period or a longer duration.' },
    );
  }
  const port = get.number('healthz-port');
  const routeLimit = get.number('route-limit');
  const backendType = get.text('backend-type');
  return {
    etcd: etcdOptions(get),
    kubernetes: kubernetesFlags(get),
    controller: {
      ...{ resyncMs: get.number('resync'), dryRun: get.boolean('dry-run'), leaderElect: get.boolean('leader-elect') },
      ...{ termMs, retryMs, reapTerminated: get.boolean('reap-terminated') },
      backendTypes: get.text('backend-types') === 'all' ? 'all' : 'own',
      backendType: backendType === '' ? undefined : backendType,
      routeLimit: routeLimit === 0 ? undefined : routeLimit,
      policy: { ...defaultDeletionPolicy, allowMassDelete: get.boolean('allow-mass-delete') },
    },
    health: port === 0 ? undefined : { ip: get.text('healthz-ip'), port },
    log: logOptions(get),
    environmentProblems: parsed.environmentProblems,
  };
}
