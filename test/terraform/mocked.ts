/** A module applied by Terraform with a mocked provider: what it would make, with made-up ids in place of the cloud's. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { type CloudModule, type Resource, resourceSchema } from './cloud-module.ts';
import { makePluginFolder } from './schema-provider.ts';
import { openWorkspace, type Variables, type Workspace } from './terraform.ts';

export const release: Variables = {
  release_url: 'https://releases.example/0.1.0/flannel-vpc-linux-ARCH',
  release_sha256: { amd64: '0'.repeat(64), arm64: '1'.repeat(64) },
};

/** Opens a folder of `terraform/` with the provider that knows its schemas. */
export async function openCloudWorkspace(
  { provider }: CloudModule,
  path: string,
  change?: (root: string) => Promise<void>,
): Promise<Workspace> {
  const plugins = await mkdtemp(join(tmpdir(), 'plugins-'));
  const forget = async () => await rm(plugins, { recursive: true, force: true });
  try {
    const pluginFolder = await makePluginFolder(plugins, provider);
    const workspace = await openWorkspace(path, { pluginFolder, ...(change ? { change } : {}) });
    return {
      ...workspace,
      async [Symbol.asyncDispose]() {
        await workspace[Symbol.asyncDispose]();
        await forget();
      },
    };
  } catch (error) {
    await forget();
    throw error;
  }
}

export interface Applied {
  readonly resources: readonly Resource[];
  readonly outputs: Readonly<Record<string, unknown>>;
}

const message = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('test_state'),
    test_state: z.object({
      outputs: z.record(z.string(), z.object({ value: z.unknown() })),
      root_module: z.object({ resources: z.array(resourceSchema) }),
    }),
  }),
  z.object({ type: z.literal('diagnostic'), diagnostic: z.object({ summary: z.string(), detail: z.string() }) }),
]);

/** Applies the module of the workspace. @throws Error with Terraform's diagnostics when it refuses. */
export async function applyMocked(workspace: Workspace, { mock }: CloudModule, variables: Variables): Promise<Applied> {
  const file = 'tests/of-this-test.tftest.hcl';
  const path = join(workspace.folder, file);
  await writeFile(path, `${mock}\n\nrun "cluster" {\n  command = apply\n}\n`);
  try {
    const argv = ['test', '-json', '-verbose', `-filter=${file}`];
    const { stdout } = await workspace.run(argv, { variables, timeoutMs: 120_000 });
    const messages = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => message.safeParse(JSON.parse(line)))
      .flatMap(({ data }) => (data === undefined ? [] : [data]));
    const problems = messages.flatMap((each) => (each.type === 'diagnostic' ? [each.diagnostic] : []));
    const state = messages.flatMap((each) => (each.type === 'test_state' ? [each.test_state] : [])).at(-1);
    if (state === undefined || problems.length > 0) {
      throw new Error(
        `not applied: ${problems.map(({ summary, detail }) => `${summary}: ${detail}`).join('; ') || stdout}`,
      );
    }
    const outputs = Object.fromEntries(Object.entries(state.outputs).map(([name, { value }]) => [name, value]));
    return { resources: state.root_module.resources, outputs };
  } finally {
    await rm(path);
  }
}
