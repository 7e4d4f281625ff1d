/** Packets that vxlan devices have carried. */

import * as z from 'zod';
import { parseJson } from '../src/core/json.ts';
import type { Run } from './exec.ts';

export interface LinkCounters {
  readonly sent: number;
  readonly received: number;
}

const packets = z.object({ packets: z.number() });
const rows = z.array(z.object({ ifname: z.string(), stats64: z.object({ rx: packets, tx: packets }).optional() }));

/** By device. Empty where `ip` prints what is not known here. @throws HOST_COMMAND_FAILED. */
export async function readVxlanCounters(run: Run, signal: AbortSignal): Promise<ReadonlyMap<string, LinkCounters>> {
  const { stdout } = await run(['ip', '-s', '-j', 'link', 'show', 'type', 'vxlan'], { signal });
  return new Map(
    rowsOf(stdout).flatMap(({ ifname, stats64 }) =>
      stats64 ? [[ifname, { sent: stats64.tx.packets, received: stats64.rx.packets }]] : [],
    ),
  );
}

function rowsOf(text: string): z.infer<typeof rows> {
  try {
    return rows.safeParse(parseJson(text.trim() || '[]')).data ?? [];
  } catch {
    return [];
  }
}
