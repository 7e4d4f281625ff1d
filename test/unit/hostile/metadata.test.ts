/** A metadata server that is somebody else's: a captive portal, a proxy, a container's neighbour. Over real connections. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readIdentity as ofAws, readRoleName } from '../../../providers/aws-vpc/imds.ts';
import { readMachine as ofAzure } from '../../../providers/azure-vnet/metadata.ts';
import { readIdentity as ofGce, readToken } from '../../../providers/gce/metadata.ts';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { type HttpServer, type SimulatorAnswer, startHttpServer } from '../../clouds/simulator/http-server.ts';
import { hostileJson, hostileText, propertyRuns, rawControls } from '../../support/hostile.ts';

const never = new AbortController().signal;
let server: HttpServer;
/** What the server says next, by path. */
let answer: (path: string) => SimulatorAnswer;

beforeAll(async () => {
  server = await startHttpServer({ handle: async ({ url }) => answer(url.pathname) });
});
afterAll(async () => {
  await server.stop();
});

const aws: Readonly<Record<string, string>> = {
  '/latest/api/token': 'token',
  '/latest/meta-data/instance-id': 'i-0123456789abcdef0',
  '/latest/meta-data/placement/availability-zone': 'eu-west-1a',
  '/latest/meta-data/placement/region': 'eu-west-1',
  '/latest/meta-data/network/interfaces/macs/': '0a:00:00:00:00:01/\n',
  '/latest/meta-data/iam/security-credentials/': 'role',
};
const awsNic: Readonly<Record<string, string>> = {
  ...{ 'interface-id': 'eni-1', 'subnet-id': 'subnet-1', 'vpc-id': 'vpc-1', 'local-ipv4s': '10.0.1.4' },
};
const gce: Readonly<Record<string, string>> = {
  'project-id': 'my-project',
  'numeric-project-id': '12345',
  name: 'node-7',
  zone: 'projects/12345/zones/europe-west1-b',
};
const gceNics = [{ ip: '10.0.1.4', ipv6s: ['fd00::4'], network: 'projects/12345/networks/default' }];
const gceToken = { access_token: 'ya29', expires_in: 3_599, token_type: 'Bearer' };
const azure = {
  compute: {
    ...{
      subscriptionId: 's',
      resourceGroupName: 'g',
      name: 'n',
      location: 'westeurope',
      zone: '1',
      azEnvironment: 'AzurePublicCloud',
    },
    resourceId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/n',
  },
  network: { interface: [{ macAddress: '000D3AF806EC', ipv4: { ipAddress: [{ privateIpAddress: '10.0.1.4' }] } }] },
};

function honest(path: string): string {
  const leaf = path.split('/').at(-1) ?? '';
  if (path.startsWith('/latest')) return aws[path] ?? awsNic[leaf] ?? '';
  if (path.endsWith('/network-interfaces/')) return JSON.stringify(gceNics);
  if (path.endsWith('/token')) return JSON.stringify(gceToken);
  if (path.startsWith('/metadata')) return JSON.stringify(azure);
  return gce[leaf] ?? '';
}

const readers: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['AWS: who this machine is', () => ofAws({ environment: { AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url } }, never)],
  ['AWS: its role', () => readRoleName({ environment: { AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url } }, never)],
  ['Google Cloud: who this machine is', () => ofGce({ GCE_METADATA_HOST: server.url }, undefined, never)],
  ['Google Cloud: a token', () => readToken({ GCE_METADATA_HOST: server.url }, never)],
  ['Azure: who this machine is', () => ofAzure({ FLANNEL_VPC_AZURE_METADATA: server.url }, never)],
];

/** Bodies that take the place of one honest answer. */
const bodies = fc.oneof(
  hostileText,
  hostileJson(gceNics.map((nic) => [nic])),
  hostileJson([gceToken]),
  hostileJson([azure]),
  fc.constant('<html><title>Log in to the hotel network</title></html>'),
  fc.constant('a'.repeat(3 << 20)),
);

describe.each(readers)('%s', (_, read) => {
  const reply = (body: string, status = 200): SimulatorAnswer => ({
    status,
    headers: { 'metadata-flavor': 'Google' },
    body,
  });

  it('is read from an honest server', async () => {
    answer = (path) => reply(honest(path));
    expect(await read()).toBeTruthy();
  });

  it('is refused in one line, or read as something that it may be, from any other', async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        bodies,
        fc.nat(11),
        fc.constantFrom(200, 200, 200, 204, 302, 401, 500, 599),
        async (body, which, status) => {
          let requests = 0;
          answer = (path) => (requests++ === which % 6 ? reply(body, status) : reply(honest(path)));
          const started = performance.now();
          try {
            const found = await read();
            // What came of it is written into leases and messages: no reader has to look twice.
            expect(
              JSON.stringify(found, (_name, part: unknown) => (typeof part === 'bigint' ? String(part) : part)).length,
            ).toBeLessThan(20_000);
          } catch (error) {
            refused += 1;
            if (!isFlannelVpcError(error)) throw error;
            expect(error.message).not.toMatch(rawControls);
            expect(error.message.length).toBeLessThan(1_500);
          }
          expect(performance.now() - started).toBeLessThan(4_000);
        },
      ),
      { numRuns: propertyRuns(60) },
    );
    expect(refused).toBeGreaterThan(3);
  }, 120_000);
});
