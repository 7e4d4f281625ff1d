/** Writes that only a leader may make. */
import { leadershipLost } from '../failures.ts';
import type { EtcdClient } from './client.ts';
import { readLeader } from './leader-record.ts';
import { ifMadeAt, oneKey, readOp } from './operations.ts';
import type { EtcdParts } from './parts.ts';

/**
 * Transactions that etcd carries out only while the leader's key is the one made at that revision. Where the lead is what failed they
 * throw LEADERSHIP_LOST; where another comparison is, the answer looks as if nothing had been added.
 */
export function fencedTransactions(
  { client, keys }: Pick<EtcdParts, 'client' | 'keys'>,
  token: string,
): EtcdClient['txn'] {
  return async (request, doing, signal) => {
    const answer = await client.txn(
      {
        compare: [...(request.compare ?? []), ifMadeAt(keys.leader, token)],
        success: request.success ?? [],
        failure: [...(request.failure ?? []), readOp(oneKey(keys.leader))],
      },
      doing,
      signal,
    );
    if (answer.succeeded) return answer;
    const leader = answer.responses.at(-1)?.response_range?.kvs[0];
    if (!leader) throw leadershipLost('nobody leads now');
    if (leader.create_revision !== token) throw leadershipLost(`${readLeader(leader).holder} leads now`);
    return { ...answer, responses: answer.responses.slice(0, -1) };
  };
}
