/**
 * Takes the schemas of the resources that our modules use out of packages that are generated from the providers' own schemas, where the
 * providers themselves can't be had:
 *
 *   npm pack @cdktf/provider-google@16.12.1 @cdktf/provider-azurerm@14.23.1 @pulumi/alicloud@3.108.0    and unpack each
 *   node tools/terraform-schemas/extract.ts FOLDER...
 *
 * Writes test/terraform/schemas/PROVIDER.json in the form of `terraform providers schema -json`: with a real provider that command gives
 * the same, and more.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { readCdktf } from './cdktf.ts';
import { readPulumi } from './pulumi.ts';
import type { Schemas } from './schema.ts';

const output = fileURLToPath(new URL('../../test/terraform/schemas', import.meta.url));

interface Package {
  readonly provider: string;
  /** Of the provider's release, such as `6.50.0`; undefined: the package tells. */
  readonly version?: string;
  /** Where the package has each resource and data source. */
  readonly resources: Readonly<Record<string, string>>;
  readonly read: (folder: string, resources: Readonly<Record<string, string>>) => Promise<Schemas>;
}

/** Folders of CDKTF's packages are called as the resource, without the provider's name and with dashes. */
function cdktf(provider: string, ...names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [`${provider}_${name}`, name.replaceAll('_', '-')]));
}

const packages: Readonly<Record<string, Package>> = {
  '@cdktf/provider-google': {
    provider: 'hashicorp/google',
    resources: cdktf(
      'google',
      ...['compute_network', 'compute_subnetwork', 'compute_firewall', 'compute_instance'],
      ...['service_account', 'project_iam_custom_role', 'project_iam_member'],
    ),
    read: readCdktf,
  },
  '@cdktf/provider-azurerm': {
    provider: 'hashicorp/azurerm',
    resources: cdktf(
      'azurerm',
      ...['resource_group', 'virtual_network', 'subnet', 'route_table', 'subnet_route_table_association'],
      ...['network_security_group', 'network_security_rule', 'subnet_network_security_group_association'],
      ...['public_ip', 'network_interface', 'linux_virtual_machine'],
      ...['user_assigned_identity', 'role_definition', 'role_assignment'],
    ),
    read: readCdktf,
  },
  '@pulumi/alicloud': {
    provider: 'aliyun/alicloud',
    // The latest that its texts name; the package itself names none.
    version: '1.292.0',
    resources: {
      alicloud_vpc: 'vpc/network',
      alicloud_vswitch: 'vpc/switch',
      alicloud_route_table: 'vpc/routeTable',
      alicloud_route_table_attachment: 'vpc/routeTableAttachment',
      alicloud_security_group: 'ecs/securityGroup',
      alicloud_security_group_rule: 'ecs/securityGroupRule',
      alicloud_ecs_key_pair: 'ecs/ecsKeyPair',
      alicloud_instance: 'ecs/instance',
      alicloud_ecs_ram_role_attachment: 'ecs/ramRoleAttachment',
      alicloud_ram_role: 'ram/role',
      alicloud_ram_policy: 'ram/policy',
      alicloud_ram_role_policy_attachment: 'ram/rolePolicyAttachment',
      'data.alicloud_account': 'getAccount',
      'data.alicloud_images': 'ecs/getImages',
    },
    read: readPulumi,
  },
};

const manifest = z.object({
  name: z.string(),
  version: z.string(),
  cdktf: z.object({ provider: z.object({ version: z.string() }) }).optional(),
});

for (const folder of process.argv.slice(2)) {
  const {
    name,
    version,
    cdktf: generated,
  } = manifest.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));
  const known = packages[name];
  if (known === undefined)
    throw new Error(`${folder} is ${name}: one of ${Object.keys(packages).join(', ')} is asked for`);
  const { provider, resources, read } = known;
  const { own, resourceSchemas, dataSourceSchemas } = await read(folder, resources);
  const document = {
    source: { package: `${name} ${version}`, provider: `${provider} ${generated?.provider.version ?? known.version}` },
    format_version: '1.0',
    provider_schemas: {
      [`registry.terraform.io/${provider}`]: {
        ...{ provider: own, resource_schemas: resourceSchemas, data_source_schemas: dataSourceSchemas },
      },
    },
  };
  const file = join(output, `${provider.split('/')[1]}.json`);
  await writeFile(file, `${compact(document)}\n`);
  console.log(`${file}: ${Object.keys(resourceSchemas).length} resources`);
}

/** JSON whose lines are resources, so that a change shows as the few that it is about. */
function compact(document: object): string {
  const text = (value: unknown, depth: number): string => {
    if (depth === 0 || typeof value !== 'object' || value === null) return JSON.stringify(value);
    const pad = '  '.repeat(6 - depth);
    const members = Object.entries(value).map(
      ([name, each]) => `${pad}${JSON.stringify(name)}: ${text(each, depth - 1)}`,
    );
    return members.length === 0 ? '{}' : `{\n${members.join(',\n')}\n${pad.slice(2)}}`;
  };
  return text(document, 5);
}
