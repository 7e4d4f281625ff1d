/** What operators do with kubectl where leases are in Kubernetes, said instead of done. */
import { FlannelVpcError } from '../core/errors.ts';
import type { StoreSession } from './session.ts';

/** @throws INVALID where the store hands subnets out itself, with what to do there in place of `command`. */
export function refuseOnKubernetes({ stores }: Pick<StoreSession, 'stores'>, command: string, instead: string): void {
  if (stores.leases.allocates) return;
  throw new FlannelVpcError('INVALID', `${command}: leases and net-conf are in Kubernetes, and are changed there`, {
    hint: instead,
  });
}

/** With the names of our manifest. */
export const netConfByKubectl = {
  get: "kubectl -n kube-flannel get configmap flannel-vpc -o jsonpath='{.data.net-conf\\.json}'",
  set: 'Check it with "flannel-vpc netconf check FILE"; then kubectl -n kube-flannel edit configmap flannel-vpc, and kubectl -n kube-flannel rollout restart deploy,ds.',
} as const;
