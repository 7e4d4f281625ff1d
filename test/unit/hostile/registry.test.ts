/** The inventory has every reader of the product: one with a schema or a parser of its own that nobody tries is found here. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { edges } from './edges.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** A schema, or a parser of text. */
const reads = /from 'zod'|\bJSON\.parse\(|\bparseJson\(|\bparseYaml\(|\bparseRaw\(/;

/** Readers that are no edge of their own, and why. */
const elsewhere: Readonly<Record<string, string>> = {
  'src/logging.ts': "reads the logger's own line: log.test.ts",
  'src/operator/yaml-text.ts': 'writes, and copies its own data first',
  'providers/vxlan/vxlan.ts': "a lease's data: leases.test.ts",
  'providers/gce/metadata.ts': 'metadata.test.ts',
  'providers/azure-vnet/metadata.ts': 'metadata.test.ts',
  'providers/gce/credentials.ts': "its file's parser gives undefined for all that is not asked for: metadata.test.ts",
  // Answers of an API over TLS, each read by a schema alone, whose refusal the provider's one client turns into an error of ours. Not tried
  // one by one: the schemas that routes, tables and NICs are read by are, among the edges of clouds, and every call of a provider is
  // through its SDK (test/integration/hostile).
  'providers/ali-vpc/api.ts': 'a schema behind its provider’s client',
  'providers/ali-vpc/diagnose-rights.ts': 'a schema behind its provider’s client',
  'providers/azure-vnet/diagnose-firewall.ts': 'a schema behind its provider’s client',
  'providers/azure-vnet/diagnose-networks.ts': 'a schema behind its provider’s client',
  'providers/azure-vnet/diagnose-rights.ts': 'a schema behind its provider’s client',
  'providers/azure-vnet/instances.ts': 'a schema behind its provider’s client',
  'providers/azure-vnet/operations.ts': 'a schema behind its provider’s client',
  'providers/gce/compute.ts': 'a schema behind its provider’s client',
  'lease/kubernetes/examine.ts': 'by the same client as nodes',
  'lease/kubernetes/node-notices.ts': 'by the same client as nodes',
  'lease/kubernetes/own-node.ts': 'by the same client as nodes',
  'lease/kubernetes/store-id.ts': 'by the same client as nodes',
};

const tried = new Set(edges.flatMap(({ files }) => files));
const readers = globSync('{src,lease,providers,host}/**/*.ts', { cwd: root }).filter((path) =>
  reads.test(readFileSync(`${root}/${path}`, 'utf8')),
);

/** Readers of which nothing is known here. */
function untried(all: readonly string[]): readonly string[] {
  return all.filter((path) => !tried.has(path) && elsewhere[path] === undefined);
}

it('every file that reads what others wrote is tried with hostile input, or it is said why not', () => {
  expect(readers.length).toBeGreaterThan(50);
  expect(untried(readers)).toEqual([]);
});

it('nothing is said of files that there are not', () => {
  const there = new Set(globSync('{src,lease,providers,host}/**/*.ts', { cwd: root }));
  expect([...tried, ...Object.keys(elsewhere)].filter((path) => !there.has(path))).toEqual([]);
});

it('a new reader would be found', () => {
  expect(reads.test("import * as z from 'zod';")).toBe(true);
  expect(untried(['lease/new-store/reader.ts'])).toEqual(['lease/new-store/reader.ts']);
});

it('every edge has a name of its own', () => {
  expect(new Set(edges.map(({ name }) => name)).size).toBe(edges.length);
});
