/** What the flags say of leases in the Kubernetes API. */
import type { KubernetesFlags } from '../stores.ts';
import type { FlagReader } from './flag-reader.ts';

/** What `kubernetesFlagTable` says; undefined without `--kube-subnet-mgr`. Only an agent says something of its own node. */
export function kubernetesFlags(
  get: FlagReader,
  { setCondition }: Pick<KubernetesFlags, 'setCondition'> = { setCondition: false },
): KubernetesFlags | undefined {
  if (!get.boolean('kube-subnet-mgr')) return undefined;
  return {
    apiUrl: get.text('kube-api-url'),
    kubeconfigFile: get.text('kubeconfig-file'),
    annotationPrefix: get.text('kube-annotation-prefix'),
    netConfFile: get.text('net-config-path'),
    setCondition,
  };
}
