/** What the modules for Google Cloud, Alibaba Cloud and Azure make, held against what the program needs and against the providers' READMEs. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as z from 'zod';
import { program } from '../fabric/agent.ts';
import { runToEnd } from '../fabric/process.ts';
import type { CloudModule, Opening } from './cloud-module.ts';
import { cloudModules } from './clouds.ts';
import { type Applied, applyMocked, openCloudWorkspace, release } from './mocked.ts';
import { rightsMade, rightsOfReadme } from './module-rights.ts';
import { during, type Variables, type Workspace } from './terraform.ts';
import { type Machine, readUserData } from './user-data.ts';

const operator = '198.51.100.7/32';
const pods = '10.244.0.0/16';
const writers = ['controller', 'node'] as const;

describe.each(cloudModules)('a cluster by the module for $name', (cloud) => {
  let workspace: Workspace;
  const applied = new Map<string, Applied>();

  beforeAll(async () => {
    workspace = await openCloudWorkspace(cloud, `modules/${cloud.name}`);
    for (const writer of writers) applied.set(writer, await cluster({ writer }));
  }, 240_000);

  afterAll(async () => {
    await workspace[Symbol.asyncDispose]();
  });

  async function cluster(variables: Variables, changed: Workspace = workspace): Promise<Applied> {
    return await applyMocked(changed, cloud, { ...cloud.variables, ...release, ssh_cidrs: [operator], ...variables });
  }

  function of(writer: string): Applied {
    const found = applied.get(writer);
    if (found === undefined) throw new Error(`no cluster with writer = ${writer}`);
    return found;
  }

  /** A copy of the module, changed in one file. */
  async function changed(file: string, change: (text: string) => string): Promise<Workspace> {
    return await openCloudWorkspace(cloud, `modules/${cloud.name}`, async (root) => {
      const path = join(root, 'modules', cloud.name, file);
      const original = await readFile(path, 'utf8');
      expect(change(original)).not.toBe(original);
      await writeFile(path, change(original));
    });
  }

  test('lets in pods, probes, pings, etcd’s clients and the operator, and nothing else', async () => {
    expect(problemsOfFirewall(cloud, cloud.openings(of('controller').resources), [operator])).toEqual([]);
    expect(cloud.withoutFirewall(of('controller').resources)).toEqual([]);
    const without = await cluster({ ssh_cidrs: [], etcd_endpoints: ['https://etcd.internal:2379'] });
    const openings = cloud.openings(without.resources);
    expect(openings.filter(({ port }) => port === 22 || port === 2379)).toEqual([]);
  });

  test('is found out where pods are not let in', async () => {
    const [file, rule, instead] = cloud.podRule;
    const without = changed(file, (text) => text.replace(rule, instead));
    const { resources } = await during(without, async (wrong) => await cluster({}, wrong));
    expect(problemsOfFirewall(cloud, cloud.openings(resources), [operator])).toEqual([`pods are not let in`]);
  });

  test.each(writers)('gives rights to those who write alone, where that is the %s', (writer) => {
    const { resources } = of(writer);
    const machines = machinesOf(cloud, of(writer));
    const writing = [...machines].filter(
      ([, machine]) => machine[writer === 'node' ? 'agent' : 'controller'] !== undefined,
    );
    expect(writing.length).toBeGreaterThan(1);
    expect([...cloud.withCredentials(resources)].sort()).toEqual(writing.map(([name]) => name).sort());
  });

  test.each(writers)('gives the %s the rights of the provider’s README, and no others', async (writer) => {
    const { resources, outputs } = of(writer);
    const wanted = await rightsOfReadme(cloud.name, writer, outputs);
    expect(rightsMade(cloud.name, resources)).toEqual(wanted);
  });

  test('is found out with an action too many', async () => {
    const [name = ''] = (await readdir(join(workspace.folder, 'policies'))).filter((each) =>
      each.startsWith('controller.'),
    );
    const more = {
      gce: 'compute.networks.delete',
      alicloud: 'vpc:DeleteVpc',
      azure: 'Microsoft.Network/virtualNetworks/delete',
    };
    const add = (text: string): string => text.replace(/\[\n(?=\s+")/, `[\n"${more[cloud.name]}",\n`);
    const { resources, outputs } = await during(
      changed(join('policies', name), add),
      async (wrong) => await cluster({}, wrong),
    );
    const made = rightsMade(cloud.name, resources);
    expect(JSON.stringify(made)).toContain(`"${more[cloud.name]}"`);
    expect(made).not.toEqual(await rightsOfReadme(cloud.name, 'controller', outputs));
  });

  test.each(writers)('starts programs that find their store, where the %s writes', async (writer) => {
    const { outputs } = of(writer);
    const machines = machinesOf(cloud, of(writer));
    const { etcd_endpoints: endpoints, net_conf: netConf } = z
      .object({ etcd_endpoints: z.array(z.string()), net_conf: z.string() })
      .parse(outputs);
    for (const { agent, controller } of machines.values()) {
      for (const { env } of [agent, controller].filter((each) => each !== undefined)) {
        expect(env['FLANNELD_ETCD_ENDPOINTS']).toBe(endpoints.join(','));
      }
    }
    const withEtcd = [...machines].filter(([, { packages }]) => packages.includes('etcd-server'));
    expect(withEtcd.map(([name]) => name)).toEqual(['controller-1']);
    expect(withEtcd[0]?.[1].files.get('/etc/flannel-vpc/net-conf.json')?.content).toBe(`${netConf}\n`);

    const check = await runToEnd([program, 'netconf', 'check', '-'], { input: netConf });
    expect(check).toMatchObject({ code: 0 });
    expect(check.stdout).not.toContain('warning');
    expect(JSON.parse(netConf)).toMatchObject({ Network: pods, Backend: { Type: cloud.backendType, Writer: writer } });
  });

  test('has names that the cloud takes, however long the cluster’s is', async () => {
    const { resources } = await cluster({ name: cloud.longestName });
    const wrong: string[] = [];
    for (const [path, form] of Object.entries(cloud.texts)) {
      const [type = '', attribute = ''] = path.split('.');
      const of = resources.filter((resource) => resource.type === type);
      if (of.length === 0) wrong.push(`there is no ${type}`);
      for (const { address, values } of of) {
        if (!form.test(z.string().parse(values[attribute])))
          wrong.push(`${address}: ${attribute} is ${values[attribute]}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('leaves to the program what it changes', async () => {
    for (const [file, attribute] of cloud.leftAlone) {
      const ignored = [
        ...(await readFile(join(workspace.folder, file), 'utf8')).matchAll(/^ +ignore_changes = \[(.*)\]$/gm),
      ];
      expect(ignored.flatMap(([, names = '']) => names.split(', '))).toContain(attribute);
    }
  });

  test('leaves routes to the program', () => {
    const { resources } = of('controller');
    expect(resources.filter(({ type }) => cloud.routeResources.includes(type))).toEqual([]);
    for (const { values } of resources) expect(values['route'] ?? []).toEqual([]);
  });

  test('says how its routes are taken out before it is destroyed', async () => {
    const { purge_commands: commands } = z
      .object({ purge_commands: z.array(z.string()) })
      .parse(of('controller').outputs);
    const purge = commands.find((command) => command.startsWith('flannel-vpc routes purge '));
    expect(purge).toContain(`--network=${pods}`);
    // The program knows these flags: without an etcd to ask it ends with 1, and with 2 where one is wrong.
    const argv = (purge ?? '')
      .split(' ')
      .slice(1)
      .map((word) => word.replace(/^--etcd-endpoints=.*/, '--etcd-endpoints=http://127.0.0.1:1'));
    expect((await runToEnd([program, ...argv], { timeoutMs: 60_000 })).code).toBe(1);
    expect((await runToEnd([program, ...argv, '--netwrk=1'])).code).toBe(2);
  });
});

function machinesOf(cloud: CloudModule, { resources }: Applied): ReadonlyMap<string, Machine> {
  return new Map([...cloud.userData(resources)].map(([name, text]) => [name, readUserData(text)]));
}

/** What a cluster needs to be let in, said here once more and not read from the modules. */
function problemsOfFirewall(
  { machineRange }: CloudModule,
  openings: readonly Opening[],
  operators: readonly string[],
): readonly string[] {
  const needed: readonly (readonly [string, Opening])[] = [
    ['pods are not let in', { from: pods, to: 'all', protocol: 'all', port: undefined }],
    ['probes are not let in', { from: machineRange, to: 'all', protocol: 'udp', port: 8473 }],
    ['the probe port does not refuse', { from: machineRange, to: 'all', protocol: 'tcp', port: 8473 }],
    ['pings are not let in', { from: machineRange, to: 'all', protocol: 'icmp', port: undefined }],
    ['etcd is not reached', { from: machineRange, to: 'etcd', protocol: 'tcp', port: 2379 }],
    ...operators.map((from) => ['the operator is not let in', { from, to: 'all', protocol: 'tcp', port: 22 }] as const),
  ];
  const same = (one: Opening, other: Opening): boolean =>
    one.from === other.from && one.to === other.to && one.protocol === other.protocol && one.port === other.port;
  const missing = needed
    .filter(([, opening]) => !openings.some((each) => same(each, opening)))
    .map(([problem]) => problem);
  const beyond = openings
    .filter((opening) => !needed.some(([, each]) => same(each, opening)))
    .map(({ from, protocol, port }) => `${from} is let in by ${protocol} ${port ?? 'all'}`);
  return [...missing, ...beyond];
}
