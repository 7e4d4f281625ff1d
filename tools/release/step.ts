/** What the steps of tools/release.ts are. */

export interface Release {
  /** Takes the files; nothing else is in it but what earlier steps made. */
  readonly folder: string;
  /** For what does not belong into the release; gone afterwards. */
  readonly workFolder: string;
}

export interface ReleaseStep {
  /** Said when it begins. */
  readonly name: string;
  /** @throws Error when the release cannot be made. */
  run(release: Release): Promise<void>;
}

/** Processors that there is a file for, as Go and container images name them, and as Node does. */
export const architectures = [
  { name: 'amd64', node: 'x64' },
  { name: 'arm64', node: 'arm64' },
] as const;
export type Architecture = (typeof architectures)[number];

/** The single file's name in the release. */
export function singleFileName({ name }: Architecture): string {
  return `flannel-vpc-linux-${name}`;
}
