/**
 * Providers that know their resources' schemas and nothing else, where the real ones can't be had: with them Terraform itself judges every
 * argument, block and reference of a module, and plans it with `mock_provider`. Where the schemas are from: test/terraform/schemas.
 */
import { copyFile, mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { terraformSchemasBinary } from '../fabric/tools.ts';

export type SchemaName = 'google' | 'azurerm' | 'alicloud';

const header = z.object({ source: z.object({ package: z.string(), provider: z.string() }) });

/** Makes a folder for `init -plugin-dir` with the provider in it, in the version whose schemas it has. */
export async function makePluginFolder(folder: string, name: SchemaName): Promise<string> {
  const schema = new URL(`schemas/${name}.json`, import.meta.url);
  const { source } = header.parse(JSON.parse(await readFile(schema, 'utf8')));
  const [address = '', version = ''] = source.provider.split(' ');
  const platform = `linux_${process.arch === 'arm64' ? 'arm64' : 'amd64'}`;
  const own = join(folder, 'registry.terraform.io', address, version, platform);
  await mkdir(own, { recursive: true });
  await copyFile(schema, join(own, 'schema.json'));
  await symlink(await terraformSchemasBinary(), join(own, `terraform-provider-${name}_v${version}`));
  return folder;
}
