/** The single file has every cloud's part in it, and loads the one that is asked for: its own SDK, and no other's. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CloudInstance, CloudWorld } from '../clouds/cloud-world.ts';
import { cloudNames, clouds } from '../clouds/clouds.ts';
import { hostOf } from '../fabric/addresses.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { anySdk, poisonedExit, poisonedProgram, poisonedText } from '../fabric/poisoned-program.ts';
import { type RunResult, runToEnd } from '../fabric/process.ts';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const podNetwork = '10.244.0.0/16';
const subnet = '10.244.7.0/24';
/** Exit code of `plan`. */
const pending = 2;

/** Names of the SDK's chunks that the provider's own asks for, by the bundle's text. */
async function sdkOf(cloud: string): Promise<readonly string[]> {
  const names = await readdir(dist);
  const first = names.filter((name) => name.startsWith(`chunk-${cloud}-`) && name.endsWith('.mjs'));
  const seen = new Set<string>();
  const found = new Set<string>();
  for (const pending = [...first]; pending.length > 0; ) {
    const name = pending.pop() ?? '';
    if (seen.has(name)) continue;
    seen.add(name);
    const text = await readFile(join(dist, name), 'utf8');
    for (const [, imported = ''] of text.matchAll(/(?:from|import)"\.\/([\w.-]+)"/g)) pending.push(imported);
    for (const [, imported = ''] of text.matchAll(/import\("\.\/([\w.-]+)"\)/g))
      if (anySdk.test(imported)) found.add(imported);
  }
  return [...found];
}

describe.each(cloudNames)('%s', (cloud) => {
  let world: CloudWorld;
  let etcd: EtcdServer;
  let instance: CloudInstance;
  let own: string;

  beforeAll(async () => {
    [world, etcd] = await Promise.all([clouds[cloud].create(), startEtcd()]);
    const [first] = world.subnets;
    instance = await world.runInstance(first, hostOf(first.cidr, 11), { forwards: true });
    const netConf = { Network: podNetwork, Backend: { Type: cloud, ...world.backend } };
    await etcd.put('/coreos.com/network/config', JSON.stringify(netConf));
    const { id: instanceId, nicId, address } = instance;
    const node = { instanceId, nicId, nodeName: 'one', addresses: [address] };
    const lease = { PublicIP: address, PublicIPv6: null, FlannelVPC: node };
    await etcd.put(`/coreos.com/network/subnets/${subnet.replace('/', '-')}`, JSON.stringify(lease), 3_600);
    const [chunk, ...more] = await sdkOf(cloud);
    if (chunk === undefined || more.length > 0) throw new Error(`not one chunk with the SDK of ${cloud}`);
    own = chunk;
  });
  afterAll(async () => {
    await world?.stop();
    await etcd?.stop();
  });

  async function plan(poisoned: RegExp): Promise<RunResult & { readonly chunks: readonly string[] }> {
    const { program, chunks, remove } = await poisonedProgram(poisoned);
    try {
      const argv = [program, 'plan', '--json', `--etcd-endpoints=${etcd.endpoint}`];
      const env = world.operatorEnvironment('reader', 'release', '127.0.0.1');
      return { ...(await runToEnd(argv, { env, timeoutMs: 90_000 })), chunks };
    } finally {
      await remove();
    }
  }

  test('plan names the route that is missing, without any other cloud’s SDK', async () => {
    const { code, stdout, stderr, chunks } = await plan(new RegExp(`^(?!${own})${anySdk.source.slice(1)}`));
    expect(chunks).toHaveLength(cloudNames.length - 1);
    expect({ code, stderr }).toEqual({ code: pending, stderr: '' });
    const { tables }: { tables: { steps: { action: string; destination: string }[] }[] } = JSON.parse(stdout);
    expect(tables).toHaveLength(world.tableIds.length);
    for (const { steps } of tables)
      expect(steps).toEqual([expect.objectContaining({ action: 'create', destination: subnet })]);
  });

  test('it is its own SDK by which it does', async () => {
    const { code, stderr } = await plan(new RegExp(`^${own}$`));
    expect({ code, stderr }).toEqual({ code: poisonedExit, stderr: `${poisonedText}\n` });
  });
});
