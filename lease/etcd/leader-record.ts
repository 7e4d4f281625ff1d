/** The leader's key, `<prefix>/flannel-vpc/leader`: who leads, for people; that it was made at a certain revision is the proof. */

import type { IKeyValue } from 'etcd3';
import * as z from 'zod';
import { parseJson } from '../../src/core/json.ts';
import type { LeaderInfo } from '../election.ts';

const valueSchema = z.object({ holder: z.string().max(512), since: z.string().max(64) });

export function encodeLeader({ holder, since }: LeaderInfo): string {
  return JSON.stringify({ holder, since });
}

/** Whoever made the key leads, whatever stands in it. */
export function readLeader(kv: IKeyValue): LeaderInfo {
  try {
    return valueSchema.parse(parseJson(kv.value.toString()));
  } catch {
    return { holder: 'unknown', since: '' };
  }
}
