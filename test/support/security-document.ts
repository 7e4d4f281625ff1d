/** What SECURITY.md says that each program may do: the tests run the programs with exactly that. */
import { readFile } from 'node:fs/promises';
import type { EtcdRight } from '../fabric/etcd.ts';

/** A row of a table by its headings. */
export type Row = Readonly<Record<string, string>>;

/** The table below `### heading`, without backquotes. @throws Error where there is none. */
export async function tableOf(heading: string): Promise<readonly Row[]> {
  const bare = (text: string): string => text.replaceAll('`', '');
  const rows = await quotedTableOf(heading);
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, cell]) => [bare(key), bare(cell)])));
}

/** The words in backquotes of a cell. */
export function quotedWords(cell = ''): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].flatMap(([, word]) => word ?? []);
}

/** The table as it stands. */
export async function quotedTableOf(heading: string): Promise<readonly Row[]> {
  const text = await readFile(new URL('../../SECURITY.md', import.meta.url), 'utf8');
  const [, section = ''] = text.split(`\n### ${heading}\n`);
  const lines = section.split(/\n##+ /)[0]?.split('\n') ?? [];
  const table = lines.filter((line) => line.startsWith('|')).map(cellsOf);
  const [head, , ...rows] = table;
  if (!head || rows.length === 0) throw new Error(`SECURITY.md has no table below "${heading}"`);
  return rows.map((cells) => Object.fromEntries(head.map((name, index) => [name, cells[index] ?? ''])));
}

function cellsOf(line: string): readonly string[] {
  const cells = line.split('|').slice(1, -1);
  return cells.map((cell) => cell.trim());
}

const kinds = ['read', 'write', 'readwrite'] as const;

/** The row of "Rights in etcd" whose first cell is this. */
export async function etcdRightsOf(program: string, prefix: string): Promise<readonly EtcdRight[]> {
  const row = (await tableOf('Rights in etcd')).find((each) => each['program'] === program);
  if (!row) throw new Error(`SECURITY.md gives no rights in etcd to "${program}"`);
  return Object.entries(row).flatMap(([key, cell]): readonly EtcdRight[] => {
    if (key === 'program' || cell === '') return [];
    const may = kinds.find((kind) => kind === cell);
    if (!may) throw new Error(`SECURITY.md: ${cell} is no right in etcd`);
    return [{ key: `${prefix}/${key}`, may }];
  });
}
