/**
 * The modules for Google Cloud, Alibaba Cloud and Azure, whose providers can't be had here: Terraform judges them by the providers' schemas
 * and runs their own tests with a mocked provider.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cloudModules } from './clouds.ts';
import { openCloudWorkspace } from './mocked.ts';
import { during, openWorkspace, type Workspace } from './terraform.ts';

test('all of terraform/ is formatted', async () => {
  await during(openWorkspace('modules/node-setup'), async (workspace) => {
    await workspace.succeed(['fmt', '-check', '-recursive', '-diff', workspace.root]);
    await writeFile(join(workspace.folder, 'versions.tf'), 'terraform {\nrequired_version = ">= 1.9"\n}\n');
    expect((await workspace.run(['fmt', '-check', '-recursive', workspace.root])).code).toBe(3);
  });
});

describe.each(cloudModules)('the module for $name', (cloud) => {
  let workspace: Workspace;

  beforeAll(async () => {
    workspace = await openCloudWorkspace(cloud, `modules/${cloud.name}`);
  });

  afterAll(async () => {
    await workspace[Symbol.asyncDispose]();
  });

  test('is what the provider’s schemas allow, and its example too', async () => {
    await workspace.succeed(['validate']);
    const example = openCloudWorkspace(cloud, `examples/${cloud.name}`);
    expect(await during(example, async (opened) => await opened.succeed(['validate']))).toContain('is valid');
  });

  test('is refused with a wrong argument', async () => {
    const [file, right, wrong] = cloud.typo;
    expect(await complaintsOf(file, (text) => text.replace(right, wrong))).toContain(
      `An argument named "${wrong}" is not expected here.`,
    );
  });

  test('is refused without an argument that is needed', async () => {
    const [file, name] = cloud.needed;
    const without = (text: string): string => text.replace(new RegExp(`^ *${name} +=.*\n`, 'm'), '');
    expect(await complaintsOf(file, without)).toContain(`The argument "${name}" is required`);
  });

  test('is refused with a reference to what no resource has', async () => {
    const wrong = `output "wrong" {\n  value = ${cloud.nothing}\n}\n`;
    expect(await complaintsOf('outputs.tf', (text) => text + wrong)).toContain('Unsupported attribute');
  });

  test('makes, takes and refuses what its own tests say', async () => {
    await workspace.succeed(['test'], { timeoutMs: 300_000 });
  }, 320_000);

  /** What Terraform says of a changed file. */
  async function complaintsOf(file: string, change: (text: string) => string): Promise<string> {
    const path = join(workspace.folder, file);
    const original = await readFile(path, 'utf8');
    const changed = change(original);
    expect(changed).not.toBe(original);
    await writeFile(path, changed);
    try {
      const { code, stderr } = await workspace.run(['validate']);
      expect(code).toBe(1);
      return stderr;
    } finally {
      await writeFile(path, original);
    }
  }
});
