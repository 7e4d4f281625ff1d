/** YAML of plain data. A file of its own, imported when it is asked for: the library is larger than all the rest of a listing. */
import { stringify } from 'yaml';

/** Block style, each value on one line however long it is. */
export function yamlText(data: unknown): string {
  // Through JSON, so that both forms have the same members: none that are undefined.
  return stringify(JSON.parse(JSON.stringify(data)), { lineWidth: 0 }).trimEnd();
}
