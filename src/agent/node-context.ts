/** What the parts of one agent's run share. */
import type { ExternalInterface, Host, SubnetFile } from '../../host/host.ts';
import type { LeaseStore, OwnedLease } from '../../lease/lease-store.ts';
import type { NodeReportStore } from '../../lease/node-reports.ts';
import type { OwnershipStore } from '../../lease/ownership-store.ts';
import type { AgentOptions } from '../cli/agent-options.ts';
import type { OpenCloud } from '../cloud.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { PerFamily } from '../core/ip.ts';
import type { Logger } from '../core/log.ts';
import type { VxlanLink } from '../core/peer-network.ts';
import type { Readiness } from '../health/status.ts';
import type { AgentMetrics } from '../metrics.ts';
import type { NetConf } from '../netconf/net-conf.ts';
import type { Looks } from '../probe/looks.ts';
import type { OpenProbeSocket } from '../probe/socket.ts';
import type { Alive } from '../watchdog.ts';
import type { Machine } from './machine.ts';
import type { StoredNetConf } from './net-conf-wait.ts';
import type { RouteKeeperOptions } from './route-keeper.ts';

/** Everything the agent acts on, passed in. */
export interface AgentParts {
  readonly leases: LeaseStore;
  readonly ownership: OwnershipStore;
  readonly reports: NodeReportStore;
  readonly host: Host;
  /** How this node probes others. */
  readonly probe: { readonly openSocket: OpenProbeSocket; readonly looks: Looks };
  /** Addresses that the store has for this node in place of flags, if it has such. */
  readonly publicIpHints?: ((signal: AbortSignal) => Promise<{ readonly 4: string; readonly 6: string }>) | undefined;
  /** What people call this node; written into its lease by cloud backends. */
  readonly nodeName: string;
  /** The cloud of net-conf's backend; undefined for backends without one. */
  readonly openCloud: (netConf: NetConf) => Promise<OpenCloud | undefined>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly readiness: Readiness;
  readonly metrics: AgentMetrics | undefined;
  /** Told by the loops that they come round (`src/watchdog.ts`). */
  readonly alive?: Alive | undefined;
  /** Called once, when the node is set up and subnet.env is written. */
  readonly onReady: () => Promise<void>;
}

/** What goes from one run to the next within a process. */
export interface Carried {
  /** The interface that took the place of the last run's. */
  external: ExternalInterface | undefined;
  /** The lease that was kept last. */
  lease: OwnedLease | undefined;
}

/** One net-conf's run: the machine it is on, and what it does there. */
export interface NodeContext extends StoredNetConf {
  readonly options: AgentOptions;
  readonly parts: AgentParts;
  readonly external: ExternalInterface;
  /** Chooses the interface again, by the same flags. @throws INTERFACE_NOT_FOUND. */
  readonly choose: (signal: AbortSignal) => Promise<ExternalInterface>;
  /** Undefined without a cloud. */
  readonly machine: Machine | undefined;
  /** Undefined where this node writes no routes: there is no cloud, or a controller writes them. */
  readonly routes: RouteKeeperOptions | undefined;
  readonly earlier: SubnetFile | undefined;
  readonly carried: Carried;
  /** The backend's own, as they stand. */
  readonly links: readonly VxlanLink[];
  /** flannel's `BackendData` by a command before the lease; empty for all backends but extension. */
  readonly commandData: PerFamily<unknown>;
}
