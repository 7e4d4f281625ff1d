import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** One import: from, to, and the rule that refuses it. */
type Edge = readonly [from: string, to: string, rule?: string];

/** Writes files that import each other as said, and gives the edges that are refused, with the rule. */
async function refused(edges: readonly Edge[]): Promise<readonly Edge[]> {
  const folder = await mkdtemp(join(tmpdir(), 'import-rules-'));
  try {
    for (const path of new Set([...edges.map(([from]) => from), ...edges.map(([, to]) => to)])) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      const up = '../'.repeat(path.split('/').length - 1);
      const lines = edges
        .filter(([from]) => from === path)
        .map(([, to], index) => `import type { T as T${index} } from '${up}${to}';`);
      await writeFile(join(folder, path), `${lines.join('\n')}\nexport type T = string;\n`);
    }
    const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
    const config = join(root, '.dependency-cruiser.cjs');
    const args = [program, '--no-progress', '--config', config, '--output-type', 'json', '.'];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder }).catch(
      (error: { stdout: string }) => error,
    );
    const result: {
      summary: { totalDependenciesCruised: number; violations: { from: string; to: string; rule: { name: string } }[] };
    } = JSON.parse(stdout);
    expect(result.summary.totalDependenciesCruised).toBe(edges.length);
    return result.summary.violations.map(({ from, to, rule }) => [from, to, rule.name]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('the import rules', () => {
  it('let the arrows of the design pass', async () => {
    const arrows: readonly Edge[] = [
      ['lease/lease.ts', 'src/core/ip.ts'],
      ['lease/etcd/store.ts', 'lease/lease.ts'],
      ['lease/etcd/store.ts', 'src/core/ip.ts'],
      ['providers/provider.ts', 'lease/lease.ts'],
      ['providers/aws-vpc/index.ts', 'providers/provider.ts'],
      ['providers/aws-vpc/index.ts', 'lease/lease.ts'],
      ['providers/catalog.ts', 'providers/aws-vpc/index.ts'],
      ['host/host.ts', 'src/core/ip.ts'],
      ['src/main.ts', 'providers/catalog.ts'],
      ['src/main.ts', 'lease/etcd/store.ts'],
      ['src/main.ts', 'host/host.ts'],
      ['test/unit/main.test.ts', 'src/main.ts'],
    ];

    expect(await refused(arrows)).toEqual([]);
  });

  it('refuse every other one', async () => {
    const arrows: readonly Edge[] = [
      ['src/core/ip.ts', 'lease/key.ts', 'kernel-imports-nothing-of-ours'],
      ['src/core/ip.ts', 'src/agent/agent.ts', 'kernel-imports-nothing-of-ours'],
      ['lease/lease.ts', 'providers/provider.ts', 'lease-knows-only-the-kernel'],
      ['lease/lease.ts', 'lease/etcd/keys.ts', 'lease-model-knows-no-store'],
      ['lease/etcd/store.ts', 'lease/kubernetes/store.ts', 'lease-stores-are-apart'],
      ['providers/aws-vpc/index.ts', 'providers/gce/index.ts', 'providers-are-apart'],
      ['providers/aws-vpc/index.ts', 'host/host.ts', 'providers-know-the-lease-model-and-the-kernel'],
      ['providers/aws-vpc/index.ts', 'lease/etcd/store.ts', 'providers-know-the-lease-model-and-the-kernel'],
      ['providers/aws-vpc/index.ts', 'src/agent/agent.ts', 'providers-know-the-lease-model-and-the-kernel'],
      ['providers/provider.ts', 'providers/aws-vpc/config.ts', 'provider-seam-knows-no-provider'],
      ['providers/aws-vpc/index.ts', 'providers/catalog.ts', 'providers-import-no-catalogue'],
      ['host/host.ts', 'lease/key.ts', 'host-knows-only-the-kernel'],
      ['src/main.ts', 'test/fabric/vpc.ts', 'program-imports-no-test'],
    ];

    expect([...(await refused(arrows))].sort()).toEqual([...arrows].sort());
  });

  it('refuse a cycle', async () => {
    const cycle: readonly Edge[] = [
      ['host/a.ts', 'host/b.ts', 'no-circular'],
      ['host/b.ts', 'host/a.ts', 'no-circular'],
    ];

    expect((await refused(cycle)).map(([, , rule]) => rule)).toContain('no-circular');
  });
});
