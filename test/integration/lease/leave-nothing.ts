/**
 * A program of its own: uses the stores, leads, waits to lead, closes them, and must end by itself. Arguments: endpoint, user, password. Prints its
 * resident memory in MB while it watches.
 */
import { createEtcdStores } from '../../../lease/etcd/stores.ts';
import { isAbortError } from '../../../src/core/errors.ts';
import { cidr, never, reader, request } from './fixtures.ts';

const [endpoint = '', username = '', password = ''] = process.argv.slice(2);
const { leases, ownership, reports, election, close } = createEtcdStores({
  endpoints: [endpoint],
  prefix: '/coreos.com/network',
  username,
  password,
});
const lease = await leases.acquire(request('192.0.2.1'), never);
const own = reader(leases.watchOwn(lease, never));
await own.next();
const all = reader(leases.watch(never));
await all.next();
const destination = cidr('10.5.1.0/24');
await ownership.claim([{ tableId: 'rtb-1', destination, target: 'eni-1', holder: 'i-1', writtenAt: '' }], never);
await reports.publish(lease, { ready: true, reason: '', since: '' }, never);
const candidate = election({ holder: 'a', termMs: 15_000, retryMs: 2_000 });
const leadership = await candidate.campaign(never);
const campaigning = candidate.campaign(never);
console.log(Math.round(process.memoryUsage().rss / 1e6));
const waiting = Promise.allSettled([own.next(), all.next(), campaigning]);
await close();
for (const result of await waiting) {
  if (result.status !== 'rejected' || !isAbortError(result.reason))
    throw new Error('a watch or a campaign survived close');
}
if (!leadership.lost.aborted) throw new Error('the lead survived close');
