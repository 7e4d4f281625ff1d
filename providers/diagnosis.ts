/** What `doctor` finds: of the cloud by its provider, of the node and the store by the program. */
import type { Cidr } from '../src/core/ip.ts';
import type { NextHop, RouteTable } from './provider.ts';

export type FindingStatus = 'ok' | 'warning' | 'failed';

export interface Finding {
  /** Stable words, such as `iam ec2:CreateRoute`, for tests and for people who grep. */
  readonly check: string;
  readonly status: FindingStatus;
  /** One sentence: what was found, with the value. */
  readonly found: string;
  /** What to do. Always there unless ok. */
  readonly remedy?: string | undefined;
}

/** What the cloud is asked about. Everything may be missing: then what rests on it is not checked, and that is a finding. */
export interface DiagnosisSubject {
  /** The pod networks. */
  readonly networks: readonly Cidr[];
  /** This machine's verified next hop, where it is one of the cloud's. */
  readonly nextHop: NextHop | undefined;
  readonly tables: readonly RouteTable[];
  readonly networkId: string | undefined;
  /** Who writes routes: what rights this machine needs. `none`: an agent of a cluster with a controller. */
  readonly needs: 'write' | 'read' | 'none';
}
