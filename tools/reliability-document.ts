/** docs/reliability.md, as text. Pure. */
import type { Figure } from '../test/support/figures.ts';

interface Chapter {
  readonly section: Figure['section'];
  readonly title: string;
  readonly says: string;
}

const chapters: readonly Chapter[] = [
  {
    section: 'store',
    title: 'The store fails',
    says: 'etcd or the Kubernetes API server is killed, cut off, filled, emptied or put back to an earlier state.',
  },
  {
    section: 'cloud',
    title: 'The cloud’s API fails',
    says: 'A route of a node that nobody talks to is removed by hand meanwhile, so that there is something to write: it must come back.',
  },
  {
    section: 'process',
    title: 'Programs and machines fail',
    says: 'Agents and controllers are killed, frozen, doubled, given a wrong clock or another machine.',
  },
  {
    section: 'churn',
    title: 'Nodes come and go',
    says: 'At random, by a seed that is printed and can be given again.',
  },
  {
    section: 'input',
    title: 'Hostile input',
    says: 'At every place where the program reads what others wrote: no crash, no write, a clear line.',
  },
  {
    section: 'rights',
    title: 'Least rights',
    says: 'Programs that have just what [`SECURITY.md`](../SECURITY.md) gives them, and that with one thing less.',
  },
];

const number = (value: number): string => value.toLocaleString('en-US');
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function packetsCell({ packets }: Figure): string {
  return packets ? `${number(packets.lost)} of ${number(packets.sent)}` : '';
}

function streamsCell({ streams }: Figure): string {
  return streams ? `${streams.broken} broken, longest pause ${number(streams.longestPauseMs)} ms` : '';
}

function table(figures: readonly Figure[]): string {
  const traffic = figures.some(({ packets, streams }) => packets !== undefined || streams !== undefined);
  const head = ['what', 'load', ...(traffic ? ['packets lost', 'TCP connections'] : []), 'outcome'];
  const rows = figures.map((figure) => {
    const { what, load, outcome, why } = figure;
    const end = why === undefined ? outcome : `${outcome}. Why packets could be lost: ${why}`;
    return [what, load, ...(traffic ? [packetsCell(figure), streamsCell(figure)] : []), end].map(cell);
  });
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The whole document. Rows stand in the order of their names. */
export function reliabilityDocument(figures: readonly Figure[]): string {
  const sizes = [...new Set(figures.map(({ size }) => size))].sort().join(' and ');
  const parts = chapters.map(({ section, title, says }) => {
    const rows = figures
      .filter((figure) => figure.section === section)
      .sort((a, b) => a.what.localeCompare(b.what, 'en'));
    return `## ${title}\n\n${says}\n\n${table(rows)}\n`;
  });
  return `# What was done to it, and what came of it

<!-- Made by tools/reliability.ts from what the tests measured; change it there or in tools/reliability-document.ts. -->

\`make reliability\` runs the tests that these rows come from, and writes this page; \`FAULTS=long make reliability\` takes the sizes that CI has
no time for. The sizes here: ${sizes}.

Faults are done to a cluster of the rig ([\`CONTRIBUTING.md\`](../CONTRIBUTING.md#the-rig)): three nodes in two subnets with real agents, two real
controllers where they write the routes, real etcd, EC2 by LocalStack behind a proxy or a simulated cloud. Pods ping each other, both ways, over
200 packets a second, and keep TCP connections, from before a fault until all is right again; each packet without an answer counts as lost.
After each fault no route of others has changed, every live lease has its route in every table, no route is without a lease, no
packet rule stands twice, and no program holds more files, timers or children than before.

${parts.join('\n')}`;
}
