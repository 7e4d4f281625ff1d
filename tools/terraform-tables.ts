/** Tables of a Terraform module's variables and outputs for its README, from `variables.tf` and `outputs.tf` as `terraform fmt` leaves them. */

export interface ModuleFiles {
  readonly variables: string;
  readonly outputs: string;
}

const begin = (name: string): string => `<!-- ${name}: made by tools/docs.ts -->`;
const end = '<!-- end -->';

/** The README with its two tables made again. @throws Error when it has no place for them, or a block has no description. */
export function withTables(readme: string, { variables, outputs }: ModuleFiles): string {
  const tables = {
    variables: table(
      ['variable', 'default', ''],
      blocks(variables, 'variable').map(({ name, body }) => [
        `\`${name}\``,
        defaultOf(body),
        descriptionOf(name, body),
      ]),
    ),
    outputs: table(
      ['output', ''],
      blocks(outputs, 'output').map(({ name, body }) => [`\`${name}\``, descriptionOf(name, body)]),
    ),
  };
  return Object.entries(tables).reduce((text, [name, rows]) => {
    const place = new RegExp(`${begin(name)}\n[\\s\\S]*?${end}\n`);
    if (!place.test(text)) throw new Error(`no "${begin(name)}" and "${end}" in the README`);
    return text.replace(place, () => `${begin(name)}\n\n${rows}\n${end}\n`);
  }, readme);
}

interface Block {
  readonly name: string;
  readonly body: string;
}

function blocks(text: string, kind: string): readonly Block[] {
  const found = text.matchAll(new RegExp(`^${kind} "(\\w+)" \\{\\n([\\s\\S]*?)^\\}$`, 'gm'));
  return [...found].map(([, name = '', body = '']) => ({ name, body }));
}

function descriptionOf(name: string, body: string): string {
  const text = /^ {2}description += ("(?:[^"\\]|\\.)*")$/m.exec(body)?.[1];
  if (text === undefined) throw new Error(`${name} has no description`);
  // A string of HCL without templates is one of JSON.
  return String(JSON.parse(text)).replaceAll('|', '\\|');
}

function defaultOf(body: string): string {
  const value = /^ {2}default += (.*)$/m.exec(body)?.[1];
  return value === undefined ? 'required' : value === 'null' ? '' : `\`${value}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return [head, head.map(() => '---'), ...rows].map(line).join('');
}
