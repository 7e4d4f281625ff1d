/** A candidate on etcd, a program of its own. Arguments: endpoint, prefix, and those of `runCandidate`. */
import { createEtcdStores } from '../../../lease/etcd/stores.ts';
import { runCandidate } from './run-candidate.ts';

const [endpoint = '', prefix = '', ...argv] = process.argv.slice(2);
await runCandidate(createEtcdStores({ endpoints: [endpoint], prefix }), argv);
