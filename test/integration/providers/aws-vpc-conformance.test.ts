/** aws-vpc on LocalStack behind the EC2 proxy, held to what every provider promises. */
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import { createAwsCloudWorld } from '../../clouds/aws/cloud-world.ts';
import { describeProvider } from '../../clouds/conformance/describe-provider.ts';
import { createWireSubject } from '../../clouds/conformance/wire-subject.ts';

const tag = { key: 'flannel-vpc/network', value: 'prod' };

describeProvider('aws-vpc on LocalStack', async () => {
  const world = await createAwsCloudWorld();
  await world.aws.tag(world.aws.explicitTableId, tag.key, tag.value);
  return createWireSubject({
    ...{ world, tag, createProvider, config: { routeTableIds: [] } },
    module: new URL('../../../providers/aws-vpc/aws-vpc.ts', import.meta.url),
    keysOf({ id }) {
      const { accessKeyId, secretAccessKey, sessionToken } = world.aws.proxy.roles.issue('node', id);
      return {
        ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: sessionToken },
      };
    },
    // EC2 compares nothing: table and destination are all that names a route.
    ignoresExpected: true,
  });
});
