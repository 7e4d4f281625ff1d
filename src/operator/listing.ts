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
      const { stringify } = await import('yaml');
      // Through JSON, so that both forms have the same members: none that are undefined.
      return console.print(stringify(JSON.parse(JSON.stringify(data)), { lineWidth: 0 }).trimEnd());
    }
    default:
      return console.print(...lines());
  }
}
