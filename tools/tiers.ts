/** The test tiers, and which files are whose. */
import { globSync } from 'node:fs';

/** The longest first: those that run side by side end together. */
export const tiers = ['unit', 'integration', 'e2e', 'faults', 'terraform', 'kubernetes', 'release', 'image'] as const;
export type Tier = (typeof tiers)[number];

/** Test files of a tier, below the project's root. Faults are end-to-end tests that take their own time. */
export function filesOf(root: string, tier: Tier): readonly string[] {
  const folder = tier === 'faults' ? 'e2e/faults' : tier;
  const files = globSync(`test/${folder}/**/*.test.ts`, { cwd: root });
  return tier === 'e2e' ? files.filter((path) => !path.startsWith('test/e2e/faults/')) : files;
}
