/**
 * Asks the registry for advisories about the locked packages: those that ship, then all with the tools.
 *
 *   node tools/audit.ts [npm audit's options, such as --registry=URL]
 *
 * Exit code 0: none that counts; 1: some do; 2: tools/audit-exceptions.yaml is wrong; 3: the registry gave no report, and so nothing is known.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type Exceptions, exceptionsSchema, judge, readAudit } from './audit-report.ts';
import { readLock } from './locked-packages.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const deadlineMs = 120_000;

const scopes = { 'what ships': ['--omit=dev'], 'all packages': ['--include=dev'] } as const;

/** Standard output, whatever the exit code: 1 is also npm's way to say that it found something. */
async function npmAudit(options: readonly string[]): Promise<string> {
  return await new Promise((resolve) => {
    const limits = { cwd: root, timeout: deadlineMs, maxBuffer: 64 << 20 };
    execFile('npm', ['audit', '--json', ...options], limits, (error, stdout) => {
      resolve(stdout !== '' || error === null ? stdout : error.message);
    });
  });
}

async function readExceptions(): Promise<Exceptions> {
  return exceptionsSchema.parse(parse(await readFile(join(root, 'tools/audit-exceptions.yaml'), 'utf8')));
}

async function main(options: readonly string[]): Promise<number> {
  let exceptions: Exceptions;
  try {
    exceptions = await readExceptions();
  } catch (error) {
    console.error(`tools/audit-exceptions.yaml: ${error instanceof Error ? error.message : String(error)}`);
    return 2;
  }
  const lock = await readLock(root);
  const today = new Date().toISOString().slice(0, 10);
  let code = 0;
  for (const [scope, omit] of Object.entries(scopes)) {
    const answer = readAudit(await npmAudit([...omit, ...options]), lock);
    if (answer.kind === 'no-answer') {
      console.error(`${scope}: NOT AUDITED, the registry gave no report: ${answer.why}`);
      console.error('This is no pass. Ask a registry that answers: make audit ARGS=--registry=URL');
      return 3;
    }
    const { open, lines } = judge(answer.advisories, exceptions, today, scope === 'all packages');
    for (const line of lines) console.log(`${scope}: ${line}`);
    console.log(`${scope}: ${open.length} advisories that count`);
    if (open.length > 0) code = 1;
  }
  return code;
}

process.exitCode = await main(process.argv.slice(2));
