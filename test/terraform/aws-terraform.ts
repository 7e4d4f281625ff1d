/**
 * The AWS module as an operator applies it, in an account of LocalStack: EC2 and STS behind the proxy, which adds what EC2 does, and IAM.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type AwsAccount, openAwsAccount } from '../clouds/aws/account.ts';
import type { MachineImage } from '../clouds/aws/localstack.ts';
import { terraformPluginFolder } from '../fabric/tools.ts';
import { release } from './mocked.ts';
import { openWorkspace, type Variables, type Workspace } from './terraform.ts';

const machines = z.record(
  z.string(),
  z.object({ instance_id: z.string(), nic_id: z.string(), address: z.string(), zone: z.string() }),
);
const clusterShape = {
  vpc_id: z.string(),
  subnets: z.record(z.string(), z.object({ id: z.string(), cidr: z.string(), table_id: z.string() })),
  table_ids: z.array(z.string()),
  security_group_id: z.string(),
  agents: machines,
  controllers: machines,
  role_name: z.string(),
  policies: z.object({ node: z.string(), controller: z.string(), read: z.string() }),
  net_conf: z.string(),
  etcd_endpoints: z.array(z.string()),
  purge_commands: z.array(z.string()),
};
/** What the module tells of the cluster. */
export type ClusterOutputs = z.infer<z.ZodObject<typeof clusterShape>>;

/** Debian's own image, which the module looks for: owner and name by https://wiki.debian.org/Cloud/AmazonEC2Image/Bookworm. */
const debian: MachineImage = {
  ...{ id: 'ami-0a1b2c3d4e5f60718', name: 'debian-12-amd64-20260112-2355' },
  ...{ owner: '136693071363', architecture: 'x86_64' },
};

export interface AwsTerraform extends AsyncDisposable {
  readonly account: AwsAccount;
  readonly workspace: Workspace;
  /** `refresh`: looks first at everything it made, as always by default. */
  apply(options?: { readonly refresh?: boolean }): Promise<void>;
  /** What `terraform plan` would change, as it says so; undefined when nothing. */
  pending(): Promise<string | undefined>;
  outputs(): Promise<ClusterOutputs>;
  /** Changes a file of the copied `terraform/`. @returns what puts it back. @throws Error when the change changes nothing. */
  edit(path: string, change: (text: string) => string): Promise<() => Promise<void>>;
  destroy(): Promise<void>;
}

/** Waits that the provider itself makes are most of it; the rest is a busy machine. */
const timeoutMs = 500_000;

/** Starts the account and initialises the folder, `examples/aws` or `modules/aws`. Nothing is applied. */
export async function openAwsTerraform(path: string, variables: Variables): Promise<AwsTerraform> {
  const pluginFolder = await terraformPluginFolder('hashicorp/aws');
  const account = await openAwsAccount({ proxyAddress: '0.0.0.0', images: [debian] });
  const workspace = await openWorkspace(path, { pluginFolder, env: account.adminEnvironment }).catch(async (error) => {
    await account.stop();
    throw error;
  });
  const given = { variables: { ...release, ...variables }, timeoutMs };
  const parallel = '-parallelism=30';

  return {
    account,
    workspace,
    async apply({ refresh = true } = {}) {
      await workspace.succeed(['apply', '-auto-approve', `-refresh=${refresh}`, parallel], given);
    },
    async pending() {
      const { code, stdout, stderr } = await workspace.run(['plan', '-detailed-exitcode', parallel], given);
      if (code !== 0 && code !== 2) throw new Error(`terraform plan ended with ${code}:\n${stderr}`);
      return code === 0 ? undefined : stdout;
    },
    async outputs() {
      if (path.startsWith('modules/')) return await workspace.outputs(clusterShape);
      return (await workspace.outputs({ cluster: z.object(clusterShape) })).cluster;
    },
    async edit(file, change) {
      const target = join(workspace.root, file);
      const before = await readFile(target, 'utf8');
      const after = change(before);
      if (after === before) throw new Error(`${file} is not what the test takes it for`);
      await writeFile(target, after);
      return async () => await writeFile(target, before);
    },
    destroy: async () => void (await workspace.succeed(['destroy', '-auto-approve', parallel], given)),
    async [Symbol.asyncDispose]() {
      await workspace[Symbol.asyncDispose]();
      await account.stop();
    },
  };
}
