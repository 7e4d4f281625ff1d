/** Recordings of the real flannel with leases in Kubernetes, on a real API server. */
import { testCases } from '../golden/suite.ts';

testCases('kubernetes');
