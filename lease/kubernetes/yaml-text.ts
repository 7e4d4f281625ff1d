/** YAML that others wrote, as plain data. A file of its own: only who has a kubeconfig loads the library. */
import { parse } from 'yaml';

/** @throws Error naming the line. */
export function parseYaml(text: string): unknown {
  return parse(text, { maxAliasCount: 100 });
}
