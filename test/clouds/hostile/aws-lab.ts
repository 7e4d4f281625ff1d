/** EC2 behind a hostile server: its wire in front of a cloud made of memory, and its metadata server, which gives a role's keys. */
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import { startMetadataServer } from '../aws/imds.ts';
import { startMemoryEc2 } from '../aws/memory-ec2.ts';
import { startHostileCloud } from './hostile-cloud.ts';
import { createProviderLab, type ProviderLab } from './provider-lab.ts';

const vpcId = 'vpc-1';
const subnet = { id: 'subnet-1', cidr: '10.0.1.0/24', zone: 'eu-west-1a', tableId: 'rtb-1' } as const;
const node = { id: 'i-0123456789abcdef0', nicId: 'eni-1', address: '10.0.1.10' } as const;
const other = { id: 'i-0123456789abcdef1', nicId: 'eni-2', address: '10.0.1.11' } as const;
const role = { name: 'node', accessKeyId: 'AKIDHOSTILE', secretAccessKey: 'secret', sessionToken: 'session' } as const;

export async function createAwsHostileLab(): Promise<ProviderLab> {
  const cloud = await startHostileCloud();
  const ec2 = await startMemoryEc2({
    ...{ vpcId, vpcCidr: '10.0.0.0/16', latencyMs: 0 },
    tables: [{ id: subnet.tableId, subnetId: subnet.id, subnetCidr: subnet.cidr }],
  });
  for (const { id, nicId, address } of [node, other]) {
    ec2.addInstance({ id, nics: [{ id: nicId, subnetId: subnet.id, addresses: [address] }] });
  }
  const nic = {
    mac: '0a:00:00:00:00:01',
    nicId: node.nicId,
    subnetId: subnet.id,
    vpcId,
    privateIpv4s: [node.address],
    ipv6s: [],
  };
  const metadata = await startMetadataServer({
    metadata: {
      ...{ instanceId: node.id, region: 'eu-west-1', availabilityZone: subnet.zone, nics: [nic] },
      role: { ...role, expiresAt: Date.now() + 3_600_000 },
    },
  });
  const environment = {
    AWS_ENDPOINT_URL_EC2: await cloud.front(ec2.url),
    AWS_EC2_METADATA_SERVICE_ENDPOINT: await cloud.front(metadata.url),
  };
  // The SDK's chain of credentials reads the process's environment alone.
  const formerly = process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
  process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = environment.AWS_EC2_METADATA_SERVICE_ENDPOINT;
  const world = {
    networkId: vpcId,
    subnets: [subnet] as const,
    staticRoutes: async (id: string) => ec2.staticRoutes(id),
    removeRoute: async (id: string, destination: string) => ec2.removeRoute(id, destination),
  };
  return await createProviderLab({
    ...{ cloud, world, node, other, createProvider, environment },
    config: { routeTableIds: [] },
    isChange: ({ body }) => /\bAction=(?!Describe)/.test(body),
    async stop() {
      if (formerly === undefined) delete process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
      else process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = formerly;
      await metadata.stop();
      await ec2.stop();
    },
  });
}
