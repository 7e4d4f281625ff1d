/**
 * Terraform as the tests run it: on a copy of `terraform/`, so that no state, lock or plug-in lands in the tree, without the user's own
 * settings, and with a deadline.
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { type RunResult, runToEnd } from '../fabric/process.ts';
import { terraformBinary } from '../fabric/tools.ts';

const root = fileURLToPath(new URL('../../terraform', import.meta.url));

export type Variables = Readonly<Record<string, unknown>>;

/** What one command takes beyond its arguments. */
export interface CommandOptions {
  readonly variables?: Variables;
  readonly env?: Readonly<Record<string, string>>;
  /** Deadline; default two minutes. */
  readonly timeoutMs?: number;
}

/** A folder of `terraform/`, copied with all its neighbours. */
export interface Workspace extends AsyncDisposable {
  /** The copy of `terraform/`. */
  readonly root: string;
  /** The copy of the folder that commands run in. */
  readonly folder: string;
  /** Runs a command, whatever its exit code: `['plan', '-detailed-exitcode']`. */
  run(argv: readonly string[], options?: CommandOptions): Promise<RunResult>;
  /** The same. @throws Error with what Terraform said, unless it exits 0. */
  succeed(argv: readonly string[], options?: CommandOptions): Promise<string>;
  /** `terraform output`, each value by its name. */
  outputs<T extends z.ZodRawShape>(shape: T, options?: CommandOptions): Promise<z.infer<z.ZodObject<T>>>;
}

export interface WorkspaceOptions {
  /** A folder of plug-ins (`init -plugin-dir`). Without it Terraform finds none: the module has no provider. */
  readonly pluginFolder?: string;
  /** For all commands, such as a cloud's credentials. */
  readonly env?: Readonly<Record<string, string>>;
  /** Changes the copy of `terraform/` before Terraform sees it. */
  readonly change?: (root: string) => Promise<void>;
}

/** Copies `terraform/` and initialises PATH in it, such as `modules/node-setup`. @throws Error when Terraform is missing or refuses it. */
export async function openWorkspace(path: string, options: WorkspaceOptions = {}): Promise<Workspace> {
  const binary = await terraformBinary();
  const scratch = await mkdtemp(join(tmpdir(), 'terraform-'));
  const copy = join(scratch, 'terraform');
  const folder = join(copy, path);
  const env = await environment(scratch);
  let commands = 0;

  const workspace: Workspace = {
    root: copy,
    folder,
    async run(argv, { variables, env: more = {}, timeoutMs = 120_000 } = {}) {
      const [command = '', ...rest] = argv;
      const given: string[] = [];
      if (variables !== undefined) {
        const file = join(scratch, `variables-${++commands}.tfvars.json`);
        await writeFile(file, JSON.stringify(variables));
        given.push(`-var-file=${file}`);
      }
      const all = [binary, `-chdir=${folder}`, command, ...given, ...rest];
      return await runToEnd(all, { env: { ...env, ...options.env, ...more }, timeoutMs });
    },
    async succeed(argv, commandOptions) {
      const { code, stdout, stderr } = await workspace.run(argv, commandOptions);
      if (code !== 0)
        throw new Error(`terraform ${argv.join(' ')} in ${path} ended with ${code}:\n${stderr || stdout}`);
      return stdout;
    },
    async outputs(shape, commandOptions) {
      const printed: unknown = JSON.parse(await workspace.succeed(['output', '-json'], commandOptions));
      const values = z.record(z.string(), z.object({ value: z.unknown() })).parse(printed);
      return z
        .object(shape)
        .parse(Object.fromEntries(Object.entries(values).map(([name, { value }]) => [name, value])));
    },
    async [Symbol.asyncDispose]() {
      await rm(scratch, { recursive: true, force: true });
    },
  };
  try {
    await cp(root, copy, { recursive: true });
    await options.change?.(copy);
    const { pluginFolder } = options;
    await workspace.succeed(['init', ...(pluginFolder === undefined ? [] : [`-plugin-dir=${pluginFolder}`])]);
    return workspace;
  } catch (error) {
    await workspace[Symbol.asyncDispose]();
    throw error;
  }
}

/** Does the work with what is opened, and closes it, whatever comes of it. */
export async function during<Opened extends AsyncDisposable, Result>(
  opening: Promise<Opened>,
  work: (opened: Opened) => Promise<Result>,
): Promise<Result> {
  const opened = await opening;
  try {
    return await work(opened);
  } finally {
    await opened[Symbol.asyncDispose]();
  }
}

/** Nothing of the user's: settings, plug-ins, workspaces, logs; and no look for newer versions. */
async function environment(scratch: string): Promise<Readonly<Record<string, string>>> {
  const config = join(scratch, 'terraform.rc');
  const plugins = join(scratch, 'no-plugins');
  await mkdir(plugins);
  await writeFile(config, `provider_installation {\n  filesystem_mirror {\n    path = "${plugins}"\n  }\n}\n`);
  return {
    ...{ CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1', TF_INPUT: '0', TF_CLI_ARGS: '-no-color', TF_LOG: '' },
    ...{ TF_CLI_CONFIG_FILE: config, TF_DATA_DIR: join(scratch, 'data'), TF_WORKSPACE: 'default' },
  };
}
