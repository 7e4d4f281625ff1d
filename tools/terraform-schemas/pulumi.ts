/**
 * Schemas out of a package of Pulumi's bindings, whose types are generated from the Terraform provider's schema: names in another case, and
 * blocks as objects. What is a list and what a set is not told, and taken for a list.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Attribute,
  type AttributeType,
  attribute,
  type Block,
  type NestedBlock,
  type Schema,
  type Schemas,
  sorted,
} from './schema.ts';

export async function readPulumi(folder: string, resources: Readonly<Record<string, string>>): Promise<Schemas> {
  const inputs = await readFile(join(folder, 'types/input.d.ts'), 'utf8');
  const resourceSchemas = new Map<string, Schema>();
  const dataSourceSchemas = new Map<string, Schema>();
  for (const [type, path] of Object.entries(resources)) {
    const types = await readFile(join(folder, `${path}.d.ts`), 'utf8');
    const name = upper(path.split('/').at(-1) ?? '');
    if (type.startsWith('data.')) {
      const found = blockOf(inputs, interfaceOf(types, `${name}Args`), interfaceOf(types, `${name}Result`));
      dataSourceSchemas.set(type.slice('data.'.length), { version: 0, block: found });
    } else {
      const block = blockOf(inputs, interfaceOf(types, `${name}Args`), interfaceOf(types, name, 'class'));
      resourceSchemas.set(type, { version: 0, block });
    }
  }
  const provider = blockOf(
    inputs,
    interfaceOf(await readFile(join(folder, 'provider.d.ts'), 'utf8'), 'ProviderArgs'),
    '',
  );
  return {
    own: { version: 0, block: provider },
    resourceSchemas: Object.fromEntries(resourceSchemas),
    dataSourceSchemas: Object.fromEntries(dataSourceSchemas),
  };
}

function blockOf(inputs: string, args: string, state: string): Block {
  const attributes = new Map<string, Attribute>(state === '' ? [] : [['id', { type: 'string', computed: true }]]);
  const blocks = new Map<string, NestedBlock>();
  for (const { name, type, required } of membersOf(args)) {
    const nested = /inputs\.([\w.]+)/.exec(type)?.[1];
    if (nested === undefined) attributes.set(name, attribute(typeOf(name, type), required));
    else {
      const many = /inputs\.[\w.]+(?:\s*\|\s*undefined)?>\[\]/.test(type);
      const block = blockOf(inputs, nestedInterface(inputs, nested), '');
      blocks.set(name, {
        ...{ nesting_mode: 'list', block },
        ...(required ? { min_items: 1 } : {}),
        ...(many ? {} : { max_items: 1 }),
      });
    }
  }
  for (const { name, type } of membersOf(state)) {
    if (attributes.has(name) || blocks.has(name)) continue;
    const items = /outputs\./.test(type);
    attributes.set(name, { type: items ? 'dynamic' : typeOf(name, type), computed: true });
  }
  return { attributes: sorted(attributes), block_types: sorted(blocks) };
}

interface Member {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
}

function membersOf(body: string): readonly Member[] {
  const text = body.replace(/\/\*\*[\s\S]*?\*\//g, '');
  const found = text.matchAll(/^ {4,8}(?:readonly )?(\w+)(\??): ((?:[^;{]|\{[^}]*\})+);/gm);
  return [...found].map(([, name = '', optional, type = '']) => ({
    name: snake(name),
    type,
    required: optional === '',
  }));
}

function interfaceOf(types: string, name: string, kind = 'interface'): string {
  const head = kind === 'class' ? `declare class ${name} extends [\\w.]+` : `interface ${name}`;
  return new RegExp(`^export ${head} \\{\\n([\\s\\S]*?)\\n\\}`, 'm').exec(types)?.[1] ?? '';
}

/** `ecs.InstanceDataDisk`: an interface in a namespace. */
function nestedInterface(inputs: string, path: string): string {
  const [space = '', name = ''] = path.includes('.') ? path.split('.') : ['', path];
  const inside =
    space === ''
      ? inputs
      : ((inputs.split(`\nexport declare namespace ${space} {\n`)[1] ?? '').split('\n}\n')[0] ?? '');
  const body = new RegExp(`^ *(?:export )?interface ${name} \\{\\n([\\s\\S]*?)\\n *\\}\\n`, 'm').exec(
    `${inside}\n`,
  )?.[1];
  if (body === undefined) throw new Error(`no type ${path}`);
  return body;
}

function typeOf(name: string, type: string): AttributeType {
  if (/\[key: string\]/.test(type)) return ['map', 'string'];
  const [, scalar = 'string'] = /\b(string|number|boolean)\b/.exec(type) ?? [];
  const element: AttributeType = scalar === 'boolean' ? 'bool' : scalar === 'number' ? 'number' : 'string';
  if (!/\b(?:string|number|boolean|any)\b|enums\.|\w+\.\w+/.test(type))
    throw new Error(`${name} has a type that this does not know: ${type}`);
  return /\[\]/.test(type) ? ['list', element] : element;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function upper(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
