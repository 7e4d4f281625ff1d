/**
 * Runs the test tiers and adds up their results.
 *
 *   node tools/test.ts [unit|integration|e2e|faults|kubernetes|terraform|release|image ...] [-- jest arguments]
 *
 * All tiers by default. A tier without test files is left out and named. Without jest arguments (which may select), a
 * skipped test counts as failed, and so does a tier that has files and ran nothing. The last line is
 * `N passed, N failed`.
 *
 * When several tiers ran whole, up to three files that failed run once more at the end, with nothing beside them; that result counts, and
 * the first one is named (docs/adr/0014-failed-files-run-once-more.md).
 *
 * The machine's own links, routes and rules are read before and after: one that is not the same counts as a failed test.
 *
 * The unit tier has the machine for itself. The others wait for servers and packets most of the time and live in namespaces of their
 * own: some of them run side by side. What a tier has to build is built before.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { machineChanges, readMachineState } from './machine-state.ts';
import { readResults, type TierResult, toRunAgain, withSecondRun } from './test-results.ts';
import { filesOf, type Tier, tiers } from './tiers.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** What a tier alone needs and takes minutes to make. Where it was made before, it says so at once. */
const setUps: Partial<Record<Tier, string>> = {
  kubernetes: 'tools/setup-kubernetes',
  terraform: 'tools/setup-terraform',
  image: 'tools/image',
};

/** True when there is nothing to make, or it was made. */
async function setUp(tier: Tier): Promise<boolean> {
  const program = setUps[tier];
  if (program === undefined || (await succeeds(program))) return true;
  console.error(`${tier}: ${program} failed, and so this tier has`);
  return false;
}

/** Tiers that run at the same time: they wait for servers and packets most of the time. With more, two cores keep clocks waiting. */
const sideBySide = 3;

/** All cores, unless the arguments say something else: Jest would leave one idle, and unit tests that go through real clients wait for much of their time. */
function workers(jestArguments: readonly string[]): readonly string[] {
  const says = jestArguments.some((word) => /^(?:-i|--runInBand|-w|--maxWorkers)\b/.test(word));
  return says ? [] : ['--maxWorkers=100%'];
}

/** Jest has written its results and still does not end: something was left open. */
const leftOpenMs = 20_000;

const nothingRan: TierResult = { passed: 0, failed: 1, skipped: 0, failedFiles: [] };

/** `isWhole`: nothing was selected by arguments, so nothing may be skipped. */
async function runTier(
  tier: Tier,
  jestArguments: readonly string[],
  results: string,
  isWhole: boolean,
): Promise<TierResult> {
  const inRig = tier !== 'unit';
  const argv = [
    ...(inRig ? [join(root, 'test/fabric/enter.sh')] : []),
    ...[process.execPath, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    ...[join(root, 'node_modules/jest/bin/jest.js'), '--selectProjects', tier],
    ...['--json', `--outputFile=${results}`, ...(inRig ? ['--runInBand'] : workers(jestArguments)), ...jestArguments],
  ];
  const status = await runToEnd(argv, results);
  const text = await readFile(results, 'utf8').catch(() => undefined);
  if (text === undefined) {
    console.error(`${tier}: jest ended with ${status} and no results`);
    return nothingRan;
  }
  const result = readResults(text);
  const skipped = isWhole ? result.skipped : 0;
  let failed = result.failed + skipped;
  if (skipped > 0) console.error(`${tier}: ${skipped} skipped tests count as failed`);
  if (result.passed + failed === 0) {
    console.error(`${tier}: has test files and ran no test`);
    failed = 1;
  } else if (status !== 0 && failed === 0) {
    console.error(`${tier}: every test passed and yet jest ended with ${status}`);
    failed = 1;
  }
  return { ...result, failed };
}

async function succeeds(program: string): Promise<boolean> {
  // Its progress is for people, and standard output for the results.
  const child = spawn(join(root, program), [], { cwd: root, stdio: ['ignore', process.stderr, 'inherit'] });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code === 0));
  });
}

/** Exit code or signal of the command, which is killed when it lives on after its results are written. */
async function runToEnd(argv: readonly string[], results: string): Promise<number | string> {
  const [program = '', ...rest] = argv;
  // Results go to the file; what people read (standard error) and stray console output pass through.
  const child = spawn(program, rest, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'no status'));
  });
  const watching = new AbortController();
  void watch(watching.signal);
  try {
    return await ended;
  } finally {
    watching.abort();
  }

  async function watch(signal: AbortSignal): Promise<void> {
    try {
      while (!(await exists(results))) await delay(500, undefined, { signal });
      await delay(leftOpenMs, undefined, { signal });
      console.error('jest has ended its tests and does not exit: something was left open; ending it');
      child.kill('SIGKILL');
    } catch {
      // The command ended by itself.
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return await readFile(path).then(
    (content) => content.length > 0,
    () => false,
  );
}

async function main(argv: readonly string[]): Promise<number> {
  const split = argv.indexOf('--');
  const names = split < 0 ? argv : argv.slice(0, split);
  const jestArguments = split < 0 ? [] : argv.slice(split + 1);
  const unknown = names.filter((name) => !tiers.some((tier) => tier === name));
  if (unknown.length > 0) {
    console.error(`unknown tier ${unknown.join(', ')}: give any of ${tiers.join(', ')}`);
    return 2;
  }
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-test-'));
  const isWhole = jestArguments.length === 0;
  const results = new Map<Tier, TierResult>();
  const lines: string[] = [];
  let wrong = 0;
  const before = await readMachineState();
  try {
    const asked = tiers.filter((each) => names.length === 0 || names.includes(each));
    const present = asked.filter((tier) => {
      const found = filesOf(root, tier).length > 0;
      if (!found) lines.push(`${tier}: no test files, left out`);
      return found;
    });
    const run = async (tier: Tier): Promise<void> => {
      const started = performance.now();
      console.error(`== ${tier}`);
      const result = await runTier(tier, jestArguments, join(folder, `${tier}.json`), isWhole);
      results.set(tier, result);
      const seconds = Math.round((performance.now() - started) / 1000);
      lines.push(`${tier}: ${result.passed} ok, ${result.failed} not, ${seconds} s`);
    };
    if (present.includes('unit')) await run('unit');
    // What builds for minutes would starve the clocks of tiers that run meanwhile.
    const ready: Tier[] = [];
    for (const tier of present.filter((each) => each !== 'unit')) {
      if (await setUp(tier)) ready.push(tier);
      else {
        wrong++;
        lines.push(`${tier}: not run, for want of ${setUps[tier]}`);
      }
    }
    const waiting = ready.values();
    await Promise.all(
      Array.from({ length: sideBySide }, async () => {
        // One iterator for all: each takes the next tier that is not taken.
        for (const tier of waiting) await run(tier);
      }),
    );
    if (isWhole && present.length > 1) lines.push(...(await runAgain(results, folder)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const changes = machineChanges(before, await readMachineState());
  if (changes.length > 0) {
    wrong++;
    lines.push("the machine's own network is not what it was (by a test, or by somebody else meanwhile):", ...changes);
  } else lines.push("the machine's own links, routes and rules are what they were");
  for (const line of lines) console.log(line);
  const total = (kind: 'passed' | 'failed'): number =>
    [...results.values()].reduce((all, result) => all + result[kind], 0);
  const passed = total('passed');
  const failed = total('failed') + wrong;
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

/** Runs a few failed files once more, one after the other with nothing beside them, and takes that result. @returns what to say of it. */
async function runAgain(results: Map<Tier, TierResult>, folder: string): Promise<readonly string[]> {
  const lines: string[] = [];
  const beside = new Map([...results].filter(([tier]) => tier !== 'unit'));
  for (const [tier, paths] of toRunAgain(beside)) {
    const names = paths.map((path) => relative(root, path)).join(', ');
    console.error(`== ${tier}, once more and alone: ${names}`);
    const second = await runTier(tier, ['--runTestsByPath', ...paths], join(folder, `${tier}-again.json`), true);
    results.set(tier, withSecondRun(results.get(tier) ?? nothingRan, second));
    const outcome = second.failed === 0 ? 'passed' : 'failed again';
    lines.push(`${tier}: FAILED ONCE BESIDE OTHER TIERS, and ${outcome} alone; look for why: ${names}`);
  }
  return lines;
}

process.exitCode = await main(process.argv.slice(2));
