/** For members of `Backend` that mean nothing to its type: whose they are. */
import { backendTypes } from '../../providers/catalog.ts';

/** Such as `; it is for "ali-vpc", "gce"`; empty where no type has a member of this name, in any case. */
export function ownersOf(member: string): string {
  const lower = member.toLowerCase();
  const owners = backendTypes.filter(({ members }) => members.some((each) => each.toLowerCase() === lower));
  return owners.length === 0 ? '' : `; it is for ${owners.map(({ name }) => `"${name}"`).join(', ')}`;
}
