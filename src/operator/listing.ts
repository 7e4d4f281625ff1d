/** A listing in the form that was asked for: a table for people, or the same data for programs. */
import type { Session } from './session.ts';

/** Prints `data` as JSON or YAML, or `lines` as the table. */
export async function printListing(
  { get, console }: Pick<Session, 'get' | 'console'>,
  data: unknown,
  lines: () => readonly string[],
): Promise<void> {
  switch (get.text('output')) {
    case 'json':
      return console.print(JSON.stringify(data, undefined, 2));
    case 'yaml': {
      const { yamlText } = await import('./yaml-text.ts');
      return console.print(yamlText(data));
    }
    default:
      return console.print(lines().join('\n'));
  }
}
