/** Whether a route of a memory cloud leads anywhere. */
import type { RouteEntry } from '../provider.ts';
import type { StoredRoute, World } from './world.ts';

/** The state a test fixed, else what the target's instance gives: only a running one forwards. */
export function routeState(world: World, { state, target }: StoredRoute): RouteEntry['state'] {
  if (state !== undefined) return state;
  if (target.kind !== 'nic' && target.kind !== 'instance') return 'active';
  return world.instanceBehind(target)?.state === 'running' ? 'active' : 'blackhole';
}
