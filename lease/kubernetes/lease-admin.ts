/** What operators do to leases and net-conf: with leases in Kubernetes it is done by kubectl, and here it is said how. */
import type { LeaseAdmin } from '../lease-admin.ts';
import { byKubernetes } from './lease-store.ts';

export function createKubernetesLeaseAdmin(): LeaseAdmin {
  return {
    // A terminated machine's Node goes by the cloud's node lifecycle controller, and its lease with it.
    end: async () => false,
    async reserve() {
      throw byKubernetes('a node keeps its pod CIDR for as long as its Node object lives');
    },
    async writeNetConf() {
      throw byKubernetes('net-conf is in the ConfigMap that the agents mount: kubectl edit configmap');
    },
  };
}
