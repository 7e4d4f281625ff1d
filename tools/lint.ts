/** All static checks, each run to its end so that one reading shows everything. Exit code 1 when any found something. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkTree, projectFiles } from './hygiene.ts';
import { projectLicenceProblems } from './licences.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const rooms = ['src', 'lease', 'providers', 'host', 'test', 'tools'];

async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code === 0));
  });
}

async function imports(): Promise<boolean> {
  const program = 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs';
  const advice = '--no-progress';
  return await succeeds(process.execPath, program, advice, '--config', '.dependency-cruiser.cjs', ...rooms);
}

async function shellScripts(): Promise<boolean> {
  let fine = true;
  for (const path of await projectFiles(root)) {
    const firstLine = (await readFile(join(root, path), 'utf8').catch(() => '')).split('\n', 1)[0] ?? '';
    const shell = /^#!.*\b(bash|sh)\b/.exec(firstLine)?.[1];
    if (shell && !(await succeeds(shell, '-n', path))) fine = false;
  }
  return fine;
}

/** Prints what was found, a line each. */
async function nothing(found: Promise<readonly string[]>): Promise<boolean> {
  const lines = await found;
  for (const line of lines) console.error(line);
  return lines.length === 0;
}

const checks: Readonly<Record<string, () => Promise<boolean>>> = {
  types: () => succeeds(process.execPath, 'node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'),
  style: () => succeeds(process.execPath, 'node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'),
  imports,
  'shell scripts': shellScripts,
  licences: () => nothing(projectLicenceProblems(root)),
  hygiene: () => nothing(checkTree(root)),
};

const failed: string[] = [];
for (const [name, check] of Object.entries(checks)) {
  console.error(`== ${name}`);
  if (!(await check())) failed.push(name);
}
console.error(failed.length === 0 ? 'lint: nothing found' : `lint: found something in ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
