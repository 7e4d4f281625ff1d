/** XML in which one part is not what it was, and XML that is made to take a reader's memory or time. */
import fc from 'fast-check';
import { hostileText } from './hostile.ts';

type XmlChange = (xml: string) => string;

const leaf = /<(\w+)>([^<]*)<\/\1>/g;

/** The document with the leaf at the place exchanged; as it was where there is none. */
function changedLeaf(xml: string, at: number, change: (element: string, name: string) => string): string {
  const leaves = [...xml.matchAll(leaf)];
  const found = leaves[at % Math.max(1, leaves.length)];
  if (!found) return xml;
  const [element, name = ''] = found;
  return `${xml.slice(0, found.index)}${change(element, name)}${xml.slice(found.index + element.length)}`;
}

function escaped(text: string): string {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** One leaf exchanged: by another text, by markup, by nothing, by itself twice, by one more page. */
export const xmlMutation: fc.Arbitrary<XmlChange> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.nat(), hostileText, fc.boolean()).map(
      ([at, text, raw]): XmlChange =>
        (xml) =>
          changedLeaf(xml, at, (_, name) => `<${name}>${raw ? text : escaped(text)}</${name}>`),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat().map(
      (at): XmlChange =>
        (xml) =>
          changedLeaf(xml, at, () => ''),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat().map(
      (at): XmlChange =>
        (xml) =>
          changedLeaf(xml, at, (element) => element.repeat(3)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.constantFrom('__proto__', 'constructor', 'toString')).map(
      ([at, name]): XmlChange =>
        (xml) =>
          changedLeaf(xml, at, (element) => `<${name}>${element}</${name}>`),
    ),
  },
  {
    weight: 1,
    arbitrary: hostileText.map(
      (token): XmlChange =>
        (xml) =>
          xml.replace(/<\/\w+>\s*$/, (end) => `<nextToken>${escaped(token)}</nextToken>${end}`),
    ),
  },
);

/** "Billion laughs": ten levels of ten, around the root that is asked for. */
export function entityBomb(root: string): string {
  const levels = Array.from({ length: 9 }, (_, at) => `<!ENTITY l${at + 1} "${`&l${at};`.repeat(10)}">`);
  const declared = `<!ENTITY l0 "${'lol'.repeat(10)}">${levels.join('')}`;
  return `<?xml version="1.0"?><!DOCTYPE ${root} [${declared}]><${root}><requestId>&l9;</requestId></${root}>`;
}
