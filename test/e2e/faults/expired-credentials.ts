/** EC2's credentials of one node run out, and its metadata server goes on handing out the same ones. */
import type { AwsCloudWorld } from '../../clouds/aws/cloud-world.ts';
import type { InstanceMetadata } from '../../clouds/aws/imds.ts';
import type { CloudFaultCase, Place } from './describe-cloud-faults.ts';

function stateOf({ victim }: Place): InstanceMetadata & { readonly role: NonNullable<InstanceMetadata['role']> } {
  const state = victim.instance.metadata.state as InstanceMetadata;
  if (!state.role) throw new Error('the instance has no role');
  return { ...state, role: state.role };
}

/** The node gets credentials that EC2 refuses. */
async function expire(place: Place, ttlSeconds: number): Promise<void> {
  const { roles } = (place.world as AwsCloudWorld).aws.proxy;
  const state = stateOf(place);
  roles.revoke(state.role);
  const made = roles.issue('node', place.victim.instance.id, ttlSeconds);
  // What the metadata server says of them is not what EC2 thinks: the SDK is to use them.
  const role = { ...state.role, ...made, expiresAt: Date.now() + 6 * 3_600_000 };
  await place.victim.metadata.setState({ ...state, role });
}

export const expiredCredentials: CloudFaultCase = {
  name: 'a node’s credentials expired, and new ones given',
  harm: async (place) => await expire(place, -1),
  heal: async (place) => await expire(place, 6 * 3_600),
  seconds: { ci: 6, long: 120 },
  warns: /ExpiredToken|AuthFailure|expired|credential/i,
};
