/** Who reaches whom: every place pings every other one. */
import { countAnswers, type Place } from './traffic.ts';

export interface Reach {
  readonly from: string;
  readonly to: string;
  readonly sent: number;
  readonly answered: number;
}

/** Pings between all pairs, both ways, a few at a time. */
export async function pingMatrix(places: readonly Place[], packets = 5): Promise<readonly Reach[]> {
  const pairs = places.flatMap((from) => places.filter((to) => to !== from).map((to) => ({ from, to })));
  const reached: Reach[] = [];
  const atOnce = 6;
  for (let first = 0; first < pairs.length; first += atOnce) {
    const group = pairs.slice(first, first + atOnce);
    reached.push(
      ...(await Promise.all(
        group.map(async ({ from, to }) => {
          const answered = await countAnswers({ from, to }, packets);
          return { from: from.name, to: to.name, sent: packets, answered };
        }),
      )),
    );
  }
  return reached;
}

/** A table for people: rows send, columns answer. */
export function matrixText(reached: readonly Reach[]): string {
  const names = [...new Set(reached.map(({ from }) => from))];
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const cell = (from: string, to: string): string => {
    const found = reached.find((reach) => reach.from === from && reach.to === to);
    return found ? `${found.answered}/${found.sent}` : '-';
  };
  const line = (head: string, cells: readonly string[]): string =>
    `  ${head.padEnd(width)}${cells.map((text) => text.padEnd(width)).join('')}`.trimEnd();
  return [
    line('', names),
    ...names.map((from) =>
      line(
        from,
        names.map((to) => cell(from, to)),
      ),
    ),
  ].join('\n');
}
