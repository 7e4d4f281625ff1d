/** Tables of the Terraform modules' READMEs. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { withTables } from '../../../tools/terraform-tables.ts';

const modules = new URL('../../../terraform/modules/', import.meta.url);

function read(path: string): string {
  return readFileSync(new URL(path, modules), 'utf8');
}

/** Modules whose READMEs have a place for the tables. */
const names = readdirSync(modules).filter((name) => {
  const files = readdirSync(new URL(`${name}/`, modules));
  return files.includes('README.md') && read(`${name}/README.md`).includes('<!-- variables: made by tools/docs.ts -->');
});

describe('tables of a Terraform module', () => {
  it('are in the READMEs of these', () => {
    expect(names).toEqual(expect.arrayContaining(['alicloud', 'azure', 'gce', 'node-setup']));
  });

  it.each(names)('say what %s takes and gives (else run "node tools/docs.ts")', (name) => {
    const files = { variables: read(`${name}/variables.tf`), outputs: read(`${name}/outputs.tf`) };
    const readme = read(`${name}/README.md`);
    expect(withTables(readme, files)).toBe(readme);
    // They do depend on the files.
    expect(
      withTables(readme, { ...files, variables: files.variables.replace('description = "', 'description = "Now ') }),
    ).not.toBe(readme);
  });

  it('have each variable with its default, and each output', () => {
    const readme =
      '# m\n<!-- variables: made by tools/docs.ts -->\n<!-- end -->\n<!-- outputs: made by tools/docs.ts -->\n<!-- end -->\n';
    const variables = [
      'variable "name" {\n  description = "Names \\"all\\"."\n  type        = string\n}\n',
      'variable "zones" {\n  description = "One | more."\n  type        = list(string)\n  default     = ["a"]\n}\n',
      'variable "key" {\n  description = "None."\n  type        = string\n  default     = null\n}\n',
    ].join('\n');
    const made = withTables(readme, {
      variables,
      outputs: 'output "id" {\n  description = "Its id."\n  value       = 1\n}\n',
    });
    expect(made).toContain(
      '| `name` | required | Names "all". |\n| `zones` | `["a"]` | One \\| more. |\n| `key` |  | None. |\n',
    );
    expect(made).toContain('| output |  |\n| --- | --- |\n| `id` | Its id. |\n');
  });

  it('are refused for a variable without a description, and where there is no place', () => {
    expect(() => withTables('# m\n', { variables: '', outputs: '' })).toThrow('no "<!-- variables');
    expect(() => withTables('# m\n', { variables: 'variable "x" {\n  type = string\n}\n', outputs: '' })).toThrow(
      'x has no description',
    );
  });
});
