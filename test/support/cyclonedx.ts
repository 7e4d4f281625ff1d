/** CycloneDX's own JSON schema, as its library carries it, for tests of the SBOM. */
import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';

const schemas = new URL('../../node_modules/@cyclonedx/cyclonedx-library/res/schema/', import.meta.url);

async function schema(name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(new URL(`${name}.SNAPSHOT.schema.json`, schemas), 'utf8'));
}

/** Everything in which a document is not CycloneDX 1.6. An empty list says that it is. */
export async function cyclonedxErrors(document: unknown): Promise<readonly string[]> {
  const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: true });
  addFormats.default(ajv);
  // Formats of addresses beyond ASCII that no library at hand knows; nothing of ours has one.
  ajv.addFormat('idn-email', true);
  ajv.addFormat('iri-reference', true);
  for (const name of ['spdx', 'jsf-0.82']) {
    ajv.addSchema(await schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  }
  const validate = ajv.compile(await schema('bom-1.6'));
  validate(document);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message}`);
}
