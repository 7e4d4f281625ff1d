/** What a rendered user data makes of a machine: its files, and the programs that its units start. */
import { parse } from 'yaml';
import * as z from 'zod';

const cloudConfig = z.looseObject({
  packages: z.array(z.string()),
  runcmd: z.array(z.union([z.string(), z.array(z.string())])),
  write_files: z.array(
    z.strictObject({
      path: z.string().startsWith('/'),
      owner: z.string(),
      permissions: z.string().regex(/^0[0-7]{3}$/),
      content: z.string(),
    }),
  ),
});

export interface FileOfMachine {
  readonly content: string;
  /** Such as `0644`. */
  readonly mode: string;
}

/** A program as its unit starts it. */
export interface StartedProgram {
  /** Path and arguments of ExecStart, a drop-in's where there is one. */
  readonly argv: readonly string[];
  /** The unit's environment file, then what a drop-in sets. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Machine {
  readonly files: ReadonlyMap<string, FileOfMachine>;
  readonly packages: readonly string[];
  readonly commands: readonly (string | readonly string[])[];
  /** Undefined: this machine does not run it. */
  readonly agent: StartedProgram | undefined;
  readonly controller: StartedProgram | undefined;
}

/** Reads `#cloud-config`. @throws Error or ZodError for anything else. */
export function readUserData(text: string): Machine {
  if (!text.startsWith('#cloud-config\n')) throw new Error(`user data begins with ${text.slice(0, 40)}`);
  const config = cloudConfig.parse(parse(text));
  const files = new Map(
    config.write_files.map(({ path, permissions, content }) => [path, { content, mode: permissions }]),
  );
  return {
    ...{ files, packages: config.packages, commands: config.runcmd },
    ...{ agent: programOf(files, 'agent'), controller: programOf(files, 'controller') },
  };
}

function programOf(files: Machine['files'], name: 'agent' | 'controller'): StartedProgram | undefined {
  const path = `/etc/systemd/system/flannel-vpc-${name}.service`;
  const unit = files.get(path)?.content;
  if (unit === undefined) return undefined;
  const dropIn = files.get(`${path}.d/machine.conf`)?.content ?? '';
  // The last one counts; an empty one takes those before it away.
  const command = [...`${unit}\n${dropIn}`.matchAll(/^ExecStart=(.+)$/gm)].at(-1)?.[1] ?? '';
  const lines = [
    ...(files.get(`/etc/flannel-vpc/${name}.env`)?.content ?? '').split('\n'),
    ...[...dropIn.matchAll(/^Environment=(.+)$/gm)].map(([, line = '']) => line),
  ].filter((line) => line !== '');
  return { argv: command.split(' '), env: Object.fromEntries(lines.map(variableOf)) };
}

function variableOf(line: string): readonly [string, string] {
  const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`no variable of the environment: ${line}`);
  return [name, value];
}
