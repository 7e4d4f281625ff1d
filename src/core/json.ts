/** JSON that others wrote. */

/**
 * Deepest nesting taken. JavaScript reads any depth, and then fails to write, copy or compare the value: its stack ends at some
 * thousand levels. Nothing that is read here has more than thirty.
 */
export const deepestJson = 200;

/** As `JSON.parse`, but refuses what is nested too deeply. @throws SyntaxError. */
export function parseJson(text: string): unknown {
  assertShallow(text);
  return JSON.parse(text);
}

/** @throws SyntaxError for JSON that is nested too deeply. */
export function assertShallow(text: string): void {
  if (depthOf(text) > deepestJson) throw new SyntaxError(`nested more than ${deepestJson} levels deep`);
}

/** Objects and arrays open at the same time, at most. Of what is no JSON it gives some number. */
function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > most) most = depth;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
    }
  }
  return most;
}

/** Where the closing quote stands. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at;
    if (code === 0x5c) at += 1; // \
  }
  return text.length;
}
