/** The stand-in for providers: Terraform is told what the schemas' files say, no more and no less. */
import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import * as z from 'zod';
import { cloudModules } from './clouds.ts';
import { openCloudWorkspace } from './mocked.ts';
import { during } from './terraform.ts';

const flag = z.literal(true).optional();
const attribute = z.object({ type: z.json(), required: flag, optional: flag, computed: flag });

interface Block {
  readonly attributes: Readonly<Record<string, z.infer<typeof attribute>>>;
  readonly block_types: Readonly<
    Record<
      string,
      { nesting_mode: string; block: Block; min_items?: number | undefined; max_items?: number | undefined }
    >
  >;
}

const block: z.ZodType<Block> = z.object({
  attributes: z.record(z.string(), attribute).default({}),
  get block_types() {
    const count = z.int().optional();
    const nested = z.object({ nesting_mode: z.string(), block, min_items: count, max_items: count });
    return z.record(z.string(), nested).default({});
  },
});
const schema = z.object({ block });
const schemas = z.object({
  provider_schemas: z.record(
    z.string(),
    z.object({
      provider: schema,
      resource_schemas: z.record(z.string(), schema).default({}),
      data_source_schemas: z.record(z.string(), schema).default({}),
    }),
  ),
});

test.each(cloudModules)('$provider', async (cloud) => {
  const file = await readFile(new URL(`schemas/${cloud.provider}.json`, import.meta.url), 'utf8');
  const opening = openCloudWorkspace(cloud, `modules/${cloud.name}`);
  const said = await during(opening, async (workspace) => await workspace.succeed(['providers', 'schema', '-json']));
  expect(schemas.parse(JSON.parse(said))).toEqual(schemas.parse(JSON.parse(file)));
});
