/** Text of others in a message or a log: one line of a bearable length, on which no terminal acts. */

/** Characters that a terminal acts on, that turn others around, or that are none. */
const acting = /[\p{Cc}\p{Cs}\u2028\u2029\p{Bidi_Control}]/gu;

/** The text in one line: line breaks are blanks, and other characters that act are shown by their number. */
export function plainText(text: string, longest = 4_000): string {
  const shortEnough = text.slice(0, longest);
  const plain = shortEnough.replace(/[\r\n]+ */g, ' ').replace(acting, shown);
  return text.length > longest || plain.length > longest ? `${plain.slice(0, longest)}…` : plain;
}

/** For JSON text that stays what it is: the same characters as escapes. What JSON itself forbids in strings is escaped already. */
export function plainJson(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029\p{Bidi_Control}]/gu, shown);
}

function shown(character: string): string {
  return character === '\t' ? ' ' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
