/** What everything that works on one API server shares. */
import type { Clock, Random } from '../../src/core/clock.ts';
import type { Logger } from '../../src/core/log.ts';
import type { AnnotationNames } from './annotations.ts';
import type { KubernetesClient } from './client.ts';
import type { NodeSelection } from './node-object.ts';

export interface KubernetesParts {
  readonly client: KubernetesClient;
  readonly names: AnnotationNames;
  /** Whose leases a list shows. */
  readonly selection: NodeSelection;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}
