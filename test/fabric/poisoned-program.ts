/** The program with chunks that end whoever loads one: which parts of it a command needs is seen by that. */
import { cp, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { readSingleFile } from '../support/single-file.ts';
import { program } from './agent.ts';

export interface PoisonedProgram {
  readonly program: string;
  /** Names of the chunks, sorted. */
  readonly chunks: readonly string[];
  remove(): Promise<void>;
}

/** Its exit code, and what it says on standard error. */
export const poisonedExit = 70;
export const poisonedText = 'the SDK was loaded';
const poison = `process.stderr.write('${poisonedText}\\n');process.exit(${poisonedExit});`;

/** All clouds' SDKs. Google's clients are named for what they are. */
export const anySdk = /^chunk-(?:sdk|clients)-\w+\.mjs$/;

/** A copy of what FLANNEL_VPC_PROGRAM names or `make build` made, with poison in the chunks whose names match. */
export async function poisonedProgram(names: RegExp): Promise<PoisonedProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-poisoned-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const make = (await isSingleFile()) ? poisonSingleFile : poisonFolder;
  return { ...(await make(names, folder)), remove };
}

/** Is the program under test one file, or the script of a folder? */
export async function isSingleFile(): Promise<boolean> {
  const file = await open(program);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4);
    return buffer.toString('latin1') === '\x7fELF';
  } finally {
    await file.close();
  }
}

async function poisonFolder(names: RegExp, folder: string): Promise<Omit<PoisonedProgram, 'remove'>> {
  const root = dirname(dirname(program));
  for (const each of ['bin', 'dist']) await cp(join(root, each), join(folder, each), { recursive: true });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const chunks = (await readdir(join(folder, 'dist'))).filter((name) => names.test(name)).sort();
  for (const chunk of chunks) await writeFile(join(folder, 'dist', chunk), poison);
  return { program: join(folder, 'bin/flannel-vpc'), chunks };
}

async function poisonSingleFile(names: RegExp, folder: string): Promise<Omit<PoisonedProgram, 'remove'>> {
  const file = await readFile(program);
  const { keys, asset } = readSingleFile(file);
  const chunks = keys.filter((key) => names.test(key)).sort();
  for (const chunk of chunks) {
    const { offset, length } = asset(chunk);
    file.fill(' ', offset, offset + length);
    file.write(poison, offset);
    // V8 refuses compiled code with another beginning, and reads the source.
    const compiled = asset(`${chunk}.compiled`);
    file.fill(0, compiled.offset, compiled.offset + 16);
  }
  const copy = join(folder, basename(program));
  await writeFile(copy, file, { mode: 0o755 });
  return { program: copy, chunks };
}
