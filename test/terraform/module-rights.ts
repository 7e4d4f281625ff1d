/** Rights that a module gives to whoever writes routes, and those of the provider's README, in one form for each cloud. */
import * as z from 'zod';
import { ramPolicySchema } from '../clouds/alibaba/ram-policy.ts';
import { policyFor } from '../clouds/alibaba/readme-policies.ts';
import { actionsOfReadme } from '../clouds/azure/rights.ts';
import { listsOfReadme } from '../clouds/gce/rights.ts';
import type { CloudModule, Resource } from './cloud-module.ts';

type CloudName = CloudModule['name'];

/** What the README gives to the one who writes. `outputs` are the module's: tables are named by their ids. */
export async function rightsOfReadme(
  cloud: CloudName,
  writer: 'node' | 'controller',
  outputs: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  if (cloud === 'gce') return sorted((await listsOfReadme())[writer]);
  if (cloud === 'azure') return sorted((await actionsOfReadme())[writer]);
  const tables = z.array(z.string()).parse(outputs['table_ids']);
  return policyFor('cn-hangzhou', tables, writer, 'readme');
}

/** What the resources give. @throws Error or ZodError where they are not of the form that the cloud asks for. */
export function rightsMade(cloud: CloudName, resources: readonly Resource[]): unknown {
  if (cloud === 'gce') {
    const { values } = one(resources, 'google_project_iam_custom_role');
    return sorted(z.array(z.string()).parse(values['permissions']));
  }
  if (cloud === 'azure') {
    const { values } = one(resources, 'azurerm_role_definition');
    const permissions = z.array(
      z.object({ actions: z.array(z.string()), data_actions: z.array(z.string()).nullish() }),
    );
    return sorted(
      permissions
        .parse(values['permissions'])
        .flatMap(({ actions, data_actions: data }) => [...actions, ...(data ?? [])]),
    );
  }
  const { values } = one(resources, 'alicloud_ram_policy');
  return ramPolicySchema.parse(JSON.parse(z.string().parse(values['policy_document'])));
}

function one(resources: readonly Resource[], type: string): Resource {
  const [found, ...others] = resources.filter((resource) => resource.type === type);
  if (found === undefined || others.length > 0)
    throw new Error(`${others.length + (found ? 1 : 0)} of ${type}, not one`);
  return found;
}

function sorted(names: readonly string[]): readonly string[] {
  return [...names].sort();
}
