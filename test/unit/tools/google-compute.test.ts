/** What the build keeps of Google's definitions is enough for each method that is called, and no more than it says. */
import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import type { OnLoadResult, PluginBuild } from 'esbuild';
import { pruneGoogleProtos } from '../../../tools/google-compute.ts';

type Load = (file: { readonly path: string }) => Promise<OnLoadResult>;

async function pruned(): Promise<string> {
  const loads: Load[] = [];
  const build = { onLoad: (_: unknown, load: Load) => loads.push(load) };
  await pruneGoogleProtos.setup(build as unknown as PluginBuild);
  const path = createRequire(import.meta.url).resolve('@google-cloud/compute/build/protos/protos.json');
  const result = await loads[0]?.({ path });
  return String(result?.contents);
}

describe('Google’s definitions in the bundle', () => {
  it('hold what is called and what that speaks of, in a hundredth of their size', async () => {
    const text = await pruned();
    const { google } = JSON.parse(text).nested;
    const v1 = google.nested.cloud.nested.compute.nested.v1.nested;

    expect(text.length).toBeLessThan(120_000);
    expect(Object.keys(v1.Routes.methods).sort()).toEqual(['Delete', 'Get', 'Insert', 'List', 'TestIamPermissions']);
    expect(Object.keys(v1.Instances.methods).sort()).toEqual(['AggregatedList', 'Get', 'TestIamPermissions']);
    expect(Object.keys(v1.GlobalOperations.methods)).toEqual(['Wait']);
    // Whole, since what stands in the fields decides whose a route is.
    expect(Object.keys(v1.Route.fields)).toEqual(
      expect.arrayContaining(['nextHopIlb', 'warnings', 'tags', 'description']),
    );
    for (const name of ['Instance', 'NetworkInterface', 'Operation', 'Firewall', 'Subnetwork', 'Network'])
      expect(v1).toHaveProperty(name);
    for (const name of ['BackendServices', 'Disks', 'Regions', 'Region', 'BackendService'])
      expect(v1).not.toHaveProperty(name);
  });
});
