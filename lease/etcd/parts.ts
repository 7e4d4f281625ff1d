/** What everything that works on one etcd shares. */
import type { Clock, Random } from '../../src/core/clock.ts';
import type { Logger } from '../../src/core/log.ts';
import type { EtcdClient } from './client.ts';
import type { EntryReader } from './entries.ts';
import type { EtcdKeys } from './keys.ts';

export interface EtcdParts {
  readonly client: EtcdClient;
  readonly keys: EtcdKeys;
  readonly reader: EntryReader;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}
