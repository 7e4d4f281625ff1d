/** The AWS module and its example before anything is made: validity, and what variables are taken and refused. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { terraformPluginFolder } from '../fabric/tools.ts';
import { openWorkspace, type Workspace } from './terraform.ts';

// Each of the module's own tests plans once, by a provider of 700 MB.
jest.setTimeout(400_000);

const timeoutMs = 300_000;
const tests = 'tests/variables.tftest.hcl';
let module: Workspace;

async function open(path: string): Promise<Workspace> {
  return await openWorkspace(path, { pluginFolder: await terraformPluginFolder('hashicorp/aws') });
}

/** Runs with a file of the module changed, and puts it back. */
async function changed<T>(file: string, change: (text: string) => string, work: () => Promise<T>): Promise<T> {
  const path = join(module.folder, file);
  const text = await readFile(path, 'utf8');
  const wrong = change(text);
  if (wrong === text) throw new Error(`${file} is not what the test takes it for`);
  await writeFile(path, wrong);
  try {
    return await work();
  } finally {
    await writeFile(path, text);
  }
}

beforeAll(async () => {
  module = await open('modules/aws');
});

afterAll(async () => {
  await module?.[Symbol.asyncDispose]();
});

test('module and example are valid by the schema of the provider', async () => {
  const check = async () => await module.run(['validate'], { timeoutMs });
  expect(await check()).toMatchObject({ code: 0 });
  const wrong = await changed('network.tf', (text) => text.replace('gateway_id  ', 'gate_way_id '), check);
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('"gate_way_id" is not expected here') });
  const example = await open('examples/aws');
  try {
    expect(await example.run(['validate'], { timeoutMs })).toMatchObject({ code: 0 });
  } finally {
    await example[Symbol.asyncDispose]();
  }
});

test('what is taken and refused is what the module’s own tests say', async () => {
  const { code, stdout } = await module.run(['test'], { timeoutMs });
  expect({ code, failed: stdout.match(/run .*\.\.\. fail/g) }).toEqual({ code: 0, failed: null });
  expect(stdout).toMatch(/Success! \d\d passed, 0 failed/);
});

test('they can fail: without its check a pod network inside of the VPC is taken', async () => {
  // All that stands before the first test, and this one.
  const alone = (text: string) =>
    `${text.split('\nrun "')[0]}\n${/^run "pods_inside_of_the_vpc" \{.*?^\}$/ms.exec(text)?.[0]}\n`;
  const { code, stdout } = await changed(tests, alone, async () => {
    expect(await module.run(['test'], { timeoutMs })).toMatchObject({ code: 0 });
    const without = (text: string) => text.replace(/\]\)\) == 2, true\)/, '])) > 0, true)');
    return await changed('variables.tf', without, async () => await module.run(['test'], { timeoutMs }));
  });
  expect(code).toBe(1);
  expect(stdout).toContain('run "pods_inside_of_the_vpc"... fail');
});

test('variables and outputs are those of the README, with what they say', async () => {
  const readme = await readFile(join(module.folder, 'README.md'), 'utf8');
  expect(rows(readme)).toEqual([...(await described('variable')), ...(await described('output'))]);
});

/** First and last cell of each row whose first is a name in code. */
function rows(text: string): readonly string[] {
  return [...text.matchAll(/^\| `([a-z0-9_]+)` \|.*?([^|]+) \|$/gm)].map(
    ([, name, says = '']) => `${name}: ${says.trim()}`,
  );
}

async function described(kind: 'variable' | 'output'): Promise<readonly string[]> {
  const text = await readFile(join(module.folder, `${kind}s.tf`), 'utf8');
  return [...text.matchAll(new RegExp(`^${kind} "(\\w+)" \\{\\n  description = "(.*)"$`, 'gm'))].map(
    ([, name, says = '']) => `${name}: ${says.replaceAll('\\"', '"')}`,
  );
}
