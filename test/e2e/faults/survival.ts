/** What becomes of a cluster that survived a fault: nothing lost, and a row of docs/reliability.md. */
import { expect } from '@jest/globals';
import type { ClusterNode } from '../../fabric/cluster.ts';
import { type Figure, recordFigure, sizeOfRun } from '../../support/figures.ts';
import type { Survival } from './fault-lab.ts';

/** No packet lost and no connection broken: what writes routes is no part of the data path. */
export function expectNothingLost({ packets, streams, gaps, broken }: Survival): void {
  expect({ gaps, broken, lost: packets.lost, streams: streams.broken }).toEqual({
    ...{ gaps: [], broken: [], lost: 0, streams: 0 },
  });
  expect(packets.sent).toBeGreaterThan(300);
  expect(streams.bytes).toBeGreaterThan(100);
}

/** Keeps the row. `survival` is absent where no pod talked. */
export async function recordFault(
  section: Figure['section'],
  survival: Pick<Survival, 'packets' | 'streams'> | undefined,
  row: Pick<Figure, 'what' | 'load' | 'outcome' | 'why'>,
): Promise<void> {
  const traffic = survival && { packets: survival.packets, streams: survival.streams };
  await recordFigure({ section, size: sizeOfRun(), ...row, ...traffic });
}

/** Answer of an agent's /readyz with its headers; empty while nothing listens. */
export async function readyz({ node }: ClusterNode): Promise<string> {
  return (await node.tryExec(['curl', '-si', '--max-time', '5', 'http://127.0.0.1:8081/readyz'])).stdout;
}

/** The same taken apart: status, and what it waits for. */
export async function readyzOf(node: ClusterNode): Promise<{ readonly status: number; readonly waits: string }> {
  const text = await readyz(node);
  return {
    status: Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1]),
    waits: /X-Flannel-VPC-Waiting-For: (.*)\r/.exec(text)?.[1] ?? '',
  };
}
