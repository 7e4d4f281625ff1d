/** HTML by a template that escapes. What a lease or a cloud says is hostile: only `html` makes markup, and everything put into it is text. */

/** Finished markup. A class, so that nothing parsed from outside can pass for it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type HtmlValue = string | number | undefined | Html | readonly Html[];

/** Longest text put into a page from one value, characters: a name of a megabyte must not make the page one. */
const mostCharacters = 500;

/** Markup with every value escaped, for text and for quoted attributes alike. `undefined` is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(strings.reduce((text, string, index) => text + render(values[index - 1]) + string));
}

function render(value: HtmlValue): string {
  if (value === undefined) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escapeText(value);
  return value.map(({ text }) => text).join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

function escapeText(text: string): string {
  const short = text.length > mostCharacters ? `${text.slice(0, mostCharacters)}…` : text;
  return short
    .replace(/[&<>"'`]/g, (character) => entities[character] ?? character)
    .replace(/[\p{Cc}\p{Cs}\u2028\u2029\p{Bidi_Control}]/gu, shown);
}

/** Characters that hide or turn others around are shown by their number, so that no name can look like another. */
function shown(character: string): string {
  if (character === '\n' || character === '\t') return ' ';
  return `\\u${character.codePointAt(0)?.toString(16).padStart(4, '0')}`;
}
