/** What Docker's daemon is told of its bridge: its configuration file, and the arguments of one that runs. Only read. */

import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { parseJson } from '../src/core/json.ts';
import { plainText } from '../src/core/plain-text.ts';
import type { RunningProcess } from './processes.ts';

/** Settings that were made; what is absent is as Docker has it by itself. Names as in daemon.json. */
export interface DockerSettings {
  /** Address of the bridge docker0, with a length. */
  readonly bip?: string | undefined;
  /** A bridge of somebody else's, or `none`. */
  readonly bridge?: string | undefined;
  /** Bytes. */
  readonly mtu?: number | undefined;
  readonly 'ip-masq'?: boolean | undefined;
  readonly iptables?: boolean | undefined;
}

export interface DockerDaemon {
  readonly running: boolean;
  readonly file: string;
  /** Undefined: there is no such file. */
  readonly fromFile: DockerSettings | undefined;
  /** Why the file is of no use, if it is not. */
  readonly problem?: string;
  readonly fromArguments: DockerSettings;
}

/** Docker's default of `--config-file` on Linux (dockerd's manual). */
const usualFile = '/etc/docker/daemon.json';

const fileSchema = z.object({
  bip: z.string().optional(),
  bridge: z.string().optional(),
  mtu: z.int().optional(),
  'ip-masq': z.boolean().optional(),
  iptables: z.boolean().optional(),
});

/** Undefined where no Docker is set up: nothing runs, and there is no file. */
export async function readDockerDaemon(processes: readonly RunningProcess[]): Promise<DockerDaemon | undefined> {
  const daemon = processes.find(({ argv, sameNetwork }) => sameNetwork && /(^|\/)dockerd$/.test(argv[0] ?? ''));
  const given = argumentsOf(daemon?.argv.slice(1) ?? []);
  const file = given.get('config-file') ?? usualFile;
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined && !daemon) return undefined;
  const about = { running: daemon !== undefined, file, fromArguments: settingsOf(given) };
  if (text === undefined) return { ...about, fromFile: undefined };
  try {
    return { ...about, fromFile: fileSchema.parse(parseJson(text)) };
  } catch (error) {
    const words = error instanceof z.ZodError ? plainText(z.prettifyError(error), 300) : 'it is no JSON';
    return { ...about, fromFile: undefined, problem: words };
  }
}

/** `--name=value`, `--name value`, `-b value`; a flag alone is true. */
function argumentsOf(argv: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [at, word] of argv.entries()) {
    const [, name, inline] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) continue;
    const next = argv[at + 1];
    found.set(name === 'b' ? 'bridge' : name, inline ?? (next === undefined || next.startsWith('-') ? 'true' : next));
  }
  return found;
}

function settingsOf(given: ReadonlyMap<string, string>): DockerSettings {
  const flag = (name: string): boolean | undefined => (given.has(name) ? given.get(name) !== 'false' : undefined);
  const mtu = given.get('mtu');
  return {
    ...{ bip: given.get('bip'), bridge: given.get('bridge'), mtu: mtu === undefined ? undefined : Number(mtu) },
    ...{ 'ip-masq': flag('ip-masq'), iptables: flag('iptables') },
  };
}
