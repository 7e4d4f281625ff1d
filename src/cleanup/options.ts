/** The command line of `cleanup`. */
import { type FlagReader, readFlags } from '../cli/flag-reader.ts';
import { cleanupFlags } from '../cli/operator-flags.ts';
import { parseFlags } from '../cli/parse-flags.ts';

export interface CleanupOptions {
  readonly dryRun: boolean;
  readonly yes: boolean;
  /** A bridge of ours goes although containers are on it. */
  readonly force: boolean;
  readonly subnetFile: string;
  /** `--cni-conf`, or `''`: then the usual folder is searched. */
  readonly conflist: string;
  /** What `docker-opts` wrote. */
  readonly dockerOptions: string;
  /** `--bridge`, or `''`; only to say what is the matter with it. */
  readonly bridge: string;
}

export type CleanupCommandLine =
  | { readonly kind: 'help' }
  | {
      readonly kind: 'run';
      readonly options: CleanupOptions;
      readonly get: FlagReader;
      readonly environmentProblems: readonly string[];
    };

/** @throws USAGE (exit code 2), see `parseFlags`. */
export function parseCleanupOptions(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CleanupCommandLine {
  if (argv.some((argument) => /^--?(help|h)$/.test(argument))) return { kind: 'help' };
  const parsed = parseFlags({ flags: cleanupFlags, argv, environment });
  const get = readFlags(parsed);
  const options = {
    ...{ dryRun: get.boolean('dry-run'), yes: get.boolean('yes'), force: get.boolean('force') },
    ...{ subnetFile: get.text('subnet-file'), conflist: get.text('cni-conf') },
    ...{ dockerOptions: get.text('docker-options'), bridge: get.text('bridge') },
  };
  return { kind: 'run', options, get, environmentProblems: parsed.environmentProblems };
}
