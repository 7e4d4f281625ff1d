/** A candidate on Kubernetes, a program of its own. Arguments: URL of the API server, namespace, and those of `runCandidate`. */
import { createKubernetesStores } from '../../lease/kubernetes/stores.ts';
import { never } from '../integration/lease/fixtures.ts';
import { runCandidate } from '../integration/lease/run-candidate.ts';

const [apiUrl = '', namespace = '', ...argv] = process.argv.slice(2);
const stores = await createKubernetesStores(
  {
    ...{ apiUrl, namespace, kubeconfigFile: '', annotationPrefix: 'flannel.alpha.coreos.com', netConfFile: '' },
    ...{ environment: {}, isNode: false, selection: 'all', setCondition: false },
  },
  never,
);
await runCandidate(stores, argv);
