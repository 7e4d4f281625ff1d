/** What is in the files of the release, read from outside: no file for another processor is run here. */
import { copyFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run, runToEnd } from '../fabric/process.ts';
import { readSingleFile, type SingleFile } from '../support/single-file.ts';

const release = fileURLToPath(new URL('../../dist-release/', import.meta.url));
const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
/** `e_machine` (`linux/elf-em.h`). */
const machines = { amd64: 62, arm64: 183 } as const;

let folder: string;
/** Names of the bundle's files of code. */
let chunks: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-release-'));
  chunks = (await readdir(dist)).filter((name) => /^(?:program|chunk-.*)\.mjs$/.test(name)).sort();
  expect(chunks.length).toBeGreaterThan(100);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const compiled = (name: string): string => `${name}.compiled`;

describe.each(['amd64', 'arm64'] as const)('the file for %s', (name) => {
  let bytes: Buffer;
  let file: SingleFile;

  beforeAll(async () => {
    bytes = await readFile(join(release, `flannel-vpc-linux-${name}`));
    file = readSingleFile(bytes);
  });

  test('is a program for that processor, and Node finds its content', () => {
    expect(file.machine).toBe(machines[name]);
    expect(file.content?.length).toBeGreaterThan(4_000_000);
    expect(file.marked).toBe(true);
  });

  test('holds every chunk of the bundle', () => {
    expect(file.keys.filter((key) => key.endsWith('.mjs')).sort()).toEqual(chunks);
    for (const chunk of chunks) expect(file.asset(chunk).length).toBeGreaterThan(0);
  });

  test('names no folder of the machine that built it', () => {
    const { offset = 0, length = 0 } = file.content ?? {};
    const content = bytes.subarray(offset, offset + length);
    for (const path of [dist, tmpdir(), 'flannel-vpc-release-'])
      expect([path, content.includes(path)]).toEqual([path, false]);
    expect(content.includes('main.cjs')).toBe(true);
  });

  test(`holds compiled code ${name === 'amd64' ? 'of each' : 'of none, which would be another processor’s'}`, () => {
    const isHere = process.arch === (name === 'amd64' ? 'x64' : name);
    expect(chunks.filter((chunk) => file.has(compiled(chunk)))).toEqual(isHere ? chunks : []);
  });
});

test('a Node without content is told from these', async () => {
  expect(readSingleFile(await readFile(process.execPath))).toMatchObject({ marked: false, content: undefined });
});

describe('the compiled code', () => {
  // A word of the program that it prints, and another one of the same length.
  const [word, other] = ['flannel-vpc ${', 'Flannel-VPC ${'] as const;
  let file: Buffer;
  let single: SingleFile;
  let chunk: string;

  beforeAll(async () => {
    file = await readFile(join(release, 'flannel-vpc-linux-amd64'));
    single = readSingleFile(file);
    const { offset, length } = single.asset('program.mjs');
    const source = file.toString('latin1', offset, offset + length);
    expect(source.split(word)).toHaveLength(2);
    chunk = 'program.mjs';
    file.write(other, offset + source.indexOf(word));
  });

  async function version(): Promise<string> {
    const program = join(folder, 'changed');
    await writeFile(program, file, { mode: 0o755 });
    return await run([program, 'version']);
  }

  test('is what runs: a source that was changed under it is not seen', async () => {
    expect(await version()).toMatch(/^flannel-vpc \d/);
  });

  test('is done without where V8 refuses it: then the source runs', async () => {
    const { offset } = single.asset(compiled(chunk));
    file.fill(0, offset, offset + 16);
    expect(await version()).toMatch(/^Flannel-VPC \d/);
  });
});

describe('SHA256SUMS', () => {
  test('has all other files, and sha256sum agrees', async () => {
    const names = (await readFile(join(release, 'SHA256SUMS'), 'utf8')).trimEnd().split('\n');
    const others = (await readdir(release)).filter((name) => name !== 'SHA256SUMS').sort();
    expect(names.map((line) => line.slice(66))).toEqual(others);
    expect(others).toEqual(expect.arrayContaining(['flannel-vpc-linux-amd64', 'flannel-vpc-linux-arm64']));
    const said = await run(['env', '-C', release, 'sha256sum', '--check', '--strict', 'SHA256SUMS']);
    expect(said.trimEnd().split('\n')).toEqual(others.map((name) => `${name}: OK`));
  });

  test('tells a file of which a byte was changed', async () => {
    const name = 'flannel-vpc-linux-arm64';
    const sums = await readFile(join(release, 'SHA256SUMS'), 'utf8');
    await copyFile(join(release, name), join(folder, name));
    const changed = await open(join(folder, name), 'r+');
    await changed.write('!', 1_000_000);
    await changed.close();
    await writeFile(
      join(folder, 'SHA256SUMS'),
      sums
        .split('\n')
        .filter((line) => line.endsWith(name))
        .join('\n'),
    );
    const { code, stdout } = await runToEnd(['env', '-C', folder, 'sha256sum', '--check', 'SHA256SUMS']);
    expect(code).not.toBe(0);
    expect(stdout).toContain(`${name}: FAILED`);
  });
});
