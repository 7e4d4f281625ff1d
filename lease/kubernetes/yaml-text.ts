/** YAML that others wrote, as plain data. A file of its own: only who has a kubeconfig loads the library. */
import { parse } from 'yaml';

/** A kubeconfig with the certificates of some clusters in it has some tens of kilobytes, characters. */
const longest = 4 << 20;
/** Brackets that may be open. The library takes the square of their number in steps. */
const deepest = 200;

/** @throws Error naming the line. */
export function parseYaml(text: string): unknown {
  if (text.length > longest) throw new Error(`it has more than ${longest} characters`);
  let open = 0;
  for (const bracket of text.match(/[[{\]}]/g) ?? []) {
    open += bracket === '[' || bracket === '{' ? 1 : -1;
    if (open > deepest) throw new Error(`it is nested more than ${deepest} levels deep`);
  }
  return parse(text, { maxAliasCount: 100 });
}
