/**
 * Schemas out of a package of CDKTF's bindings. `index.js` writes HCL and so knows each argument's own name, its type and whether it is a
 * block; `index.d.ts` knows what is required.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Attribute,
  type AttributeType,
  attribute,
  type Block,
  type NestedBlock,
  type Schemas,
  sorted,
} from './schema.ts';

export async function readCdktf(folder: string, resources: Readonly<Record<string, string>>): Promise<Schemas> {
  const schemaOf = async (name: string) => ({
    version: 0 as const,
    block: await readResource(join(folder, 'lib', name)),
  });
  const entries = Object.entries(resources).map(async ([type, name]) => [type, await schemaOf(name)] as const);
  return {
    own: await schemaOf('provider'),
    resourceSchemas: Object.fromEntries(await Promise.all(entries)),
    dataSourceSchemas: {},
  };
}

async function readResource(folder: string): Promise<Block> {
  const code = await readFile(join(folder, 'index.js'), 'utf8');
  const types = await readFile(join(folder, 'index.d.ts'), 'utf8');
  const whole = /\n {4}synthesizeHclAttributes\(\) \{\n([\s\S]*?)\n {4}\}\n/.exec(code)?.[1];
  if (whole === undefined) throw new Error(`${folder} writes no HCL`);
  const config = /export interface (\w+Config) extends cdktf\.TerraformMetaArguments \{\n([\s\S]*?)\n\}/.exec(types);
  const body = classBody(code, /^class \w+ extends cdktf\.Terraform(?:Resource|DataSource|Provider) \{\n/m);
  return blockOf(code, types, whole, config?.[2] ?? '', body);
}

function blockOf(code: string, types: string, writer: string, declared: string, reader: string): Block {
  const attributes = new Map<string, Attribute>();
  const blocks = new Map<string, NestedBlock>();
  const required = requiredOf(declared);
  const entry =
    /\n +(\w+): \{\n +value: (.*),\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)",\n/g;
  for (const [, name = '', value = '', isBlock, type = '', storage = ''] of `\n${writer}\n`.matchAll(entry)) {
    // Every resource has it, and it is no argument that would do anything.
    if (name === 'timeouts') continue;
    if (isBlock === 'false') attributes.set(name, attribute(typeOf(type, storage), required.has(name)));
    else {
      const [, struct = ''] = /(\w+)ToHclTerraform\b(?!\))/.exec(value) ?? /(\w+)ToHclTerraform/.exec(value) ?? [];
      blocks.set(name, {
        nesting_mode: type === 'set' ? 'set' : 'list',
        block: structOf(code, types, struct),
        ...(required.has(name) ? { min_items: 1 } : {}),
        ...(value.startsWith('cdktf.listMapperHcl') ? {} : { max_items: 1 }),
      });
    }
  }
  for (const [, kind = '', name = ''] of reader.matchAll(/this\.get(\w+)Attribute\('(\w+)'\)/g)) {
    if (!attributes.has(name))
      attributes.set(name, { type: computedTypes[kind] ?? unknown(name, kind), computed: true });
  }
  return { attributes: sorted(attributes), block_types: sorted(blocks) };
}

function structOf(code: string, types: string, struct: string): Block {
  const writer = new RegExp(`^function ${struct}ToHclTerraform\\(struct\\) \\{\\n([\\s\\S]*?)\\n\\}`, 'm').exec(
    code,
  )?.[1];
  const name = struct.charAt(0).toUpperCase() + struct.slice(1);
  const declared = new RegExp(`^export interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`, 'm').exec(types)?.[1] ?? '';
  if (writer === undefined) throw new Error(`no ${struct} is written as HCL`);
  return blockOf(
    code,
    types,
    writer,
    declared,
    classBody(code, new RegExp(`^class ${name}OutputReference .*\\n`, 'm')),
  );
}

/** Each member's comment ends with a link to its page, which has the provider's own name for it. */
function requiredOf(declared: string): ReadonlySet<string> {
  const found = declared.matchAll(/#(\w+) \w+#\w+\}(?:(?!\*\/)[\s\S])*\*\/\n +readonly \w+(\??):/g);
  return new Set([...found].filter(([, , optional]) => optional === '').map(([, name = '']) => name));
}

function classBody(code: string, head: RegExp): string {
  const from = head.exec(code);
  if (from === null) return '';
  const rest = code.slice(from.index);
  return rest.slice(0, rest.indexOf('\n}\n'));
}

const scalars: Readonly<Record<string, AttributeType>> = {
  string: 'string',
  number: 'number',
  boolean: 'bool',
  any: 'dynamic',
};

const computedTypes: Readonly<Record<string, AttributeType>> = {
  ...{ String: 'string', Number: 'number', Boolean: 'bool', List: ['list', 'string'], NumberList: ['list', 'number'] },
  ...{
    StringMap: ['map', 'string'],
    AnyMap: ['map', 'string'],
    NumberMap: ['map', 'number'],
    BooleanMap: ['map', 'bool'],
  },
};

function typeOf(type: string, storage: string): AttributeType {
  const [, element = '', kind = ''] = /^(string|number|boolean|any)(List|Map)?$/.exec(storage) ?? [];
  const scalar = scalars[element] ?? unknown(storage, type);
  if (kind === '') return scalar;
  return [kind === 'Map' ? 'map' : type === 'set' ? 'set' : 'list', scalar];
}

function unknown(name: string, type: string): never {
  throw new Error(`${name} has a type that this does not know: ${type}`);
}
