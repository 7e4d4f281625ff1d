/** Recordings of the real flannel with leases in etcd. */
import { testCases } from '../golden/suite.ts';

testCases('etcd');
