/** Just enough XML to read and change EC2's answers: elements and text, attributes kept as they are, no mixed content. */

export interface XmlElement {
  readonly name: string;
  /** Text between the name and `>`, such as ` xmlns="…"`. */
  readonly attributes: string;
  children: XmlElement[];
  text: string;
}

/** A new element with text, or with children. */
export function element(name: string, content: string | XmlElement[]): XmlElement {
  return typeof content === 'string'
    ? { name, attributes: '', children: [], text: content }
    : { name, attributes: '', children: content, text: '' };
}

/** The document's root. @throws Error on anything that is not well-formed. */
export function parseXml(text: string): XmlElement {
  const top = element('', []);
  const open = [top];
  for (const [whole, closing, name, attributes = '', empty] of text.matchAll(
    /<(\/?)([\w:.-]+)([^>]*?)(\/?)>|[^<]+|<\?.*?\?>/gs,
  )) {
    const current = open.at(-1);
    if (!current) throw new Error('XML has text after its end');
    if (name === undefined) {
      if (!whole.startsWith('<?')) current.text += unescapeXml(whole);
    } else if (closing) {
      if (current.name !== name) throw new Error(`XML closes <${current.name}> by </${name}>`);
      open.pop();
    } else {
      const child: XmlElement = { name, attributes, children: [], text: '' };
      current.children.push(child);
      if (!empty) open.push(child);
    }
  }
  const [root] = top.children;
  if (!root || open.length !== 1) throw new Error('XML ends early');
  return root;
}

export function formatXml(root: XmlElement): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${formatElement(root)}`;
}

/** The first child of that name, at each step of the path. */
export function at(parent: XmlElement | undefined, ...path: readonly string[]): XmlElement | undefined {
  return path.reduce((found, name) => found?.children.find((child) => child.name === name), parent);
}

/** Text at a path, undefined where there is none. */
export function textAt(parent: XmlElement | undefined, ...path: readonly string[]): string | undefined {
  return at(parent, ...path)?.text.trim() || undefined;
}

/** The `item`s of a set. */
export function items(parent: XmlElement | undefined, ...path: readonly string[]): readonly XmlElement[] {
  return at(parent, ...path)?.children.filter(({ name }) => name === 'item') ?? [];
}

/** Sets a child's text, adding the child where it is missing. */
export function setText(parent: XmlElement, name: string, text: string): void {
  const child = at(parent, name);
  if (child) child.text = text;
  else parent.children.push(element(name, text));
}

export function copyElement(original: XmlElement): XmlElement {
  return { ...original, children: original.children.map(copyElement) };
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function formatElement({ name, attributes, children, text }: XmlElement): string {
  const content = children.length > 0 ? children.map(formatElement).join('') : escapeXml(text);
  return `<${name}${attributes}>${content}</${name}>`;
}

function unescapeXml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}
