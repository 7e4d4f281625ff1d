/** What the conformance suite is run on: a cloud, and providers made in this process for those who use it. */
import type { CloudProvider, TableTag } from '../../../providers/provider.ts';
import type { CloudInstance, CloudWorld } from '../cloud-world.ts';

/** Who uses the cloud: an agent on that instance, the controller, or somebody who only looks. */
export type Caller = CloudInstance | 'controller' | 'reader';

export interface Subject {
  readonly world: CloudWorld;
  /** Called once for each caller. The suite closes what it was given. */
  provider(as: Caller): Promise<CloudProvider>;
  /** How a process of its own makes the controller's provider. Without it that process is served one from here: the cloud has no wire. */
  readonly outside?: OutsideProvider | undefined;
  /** The cloud has no way to make `expected` a condition of a write: EC2's keys are table and destination. */
  readonly ignoresExpected?: boolean | undefined;
  /** A tag that the world's first table has, and no other. Absent where tables have none. */
  readonly tag?: TableTag | undefined;
  /** Once, at the end, after the providers were closed and before the world is stopped. */
  close?(): Promise<void>;
}

/** Sent to another process. */
export interface OutsideProvider {
  /** Path of the module with `createProvider`. */
  readonly module: string;
  readonly config: unknown;
  readonly environment: Readonly<Record<string, string>>;
}
