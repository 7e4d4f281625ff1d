/** An agent in a cluster of thousands: what it asks of etcd, and what it hears of others that join. */
import { type IdleOptions, type IdleResult, idle } from './idle.ts';
import { createLab, flannelVpc, labPrefix } from './lab.ts';
import { grantLease, nodeNumber, putLeases } from './scale-cluster.ts';
import { defaultFlags } from './start-up.ts';

/** Leases that appear while it is watched. */
const joining = 100;

export async function crowd(leases: number, options: IdleOptions): Promise<IdleResult> {
  const lab = await createLab();
  try {
    const etcdLease = await grantLease(lab.etcd);
    const put = async (first: number, count: number): Promise<void> => {
      const nodes = Array.from({ length: count }, (_, index) => nodeNumber(first + index, 4));
      await putLeases(lab.etcd, nodes, etcdLease, labPrefix);
    };
    const mode = { ...defaultFlags, netConf: { Network: '10.0.0.0/8', SubnetLen: 24 } };
    return await idle(lab, flannelVpc, mode, {
      ...options,
      around: () => put(0, leases),
      meanwhile: () => put(leases, joining),
    });
  } finally {
    await lab.stop();
  }
}
