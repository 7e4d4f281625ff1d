/** Who this machine is, from EC2's metadata server (IMDSv2 only: a token first, then a few requests side by side). */
import * as z from 'zod';
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Ip, parseIp } from '../../src/core/ip.ts';
import type { MachineIdentity, MachineNic } from '../provider.ts';
import { type MetadataOptions, MetadataServer } from './imds-http.ts';

const identityDocument = z.object({
  instanceId: z.string().min(1),
  region: z.string().optional(),
  availabilityZone: z.string().optional(),
});

const macsPath = '/latest/meta-data/network/interfaces/macs/';

/** @throws METADATA_UNAVAILABLE with advice; an AbortError. */
export async function readIdentity(options: MetadataOptions, signal: AbortSignal): Promise<MachineIdentity> {
  const server = await MetadataServer.open(options, signal);
  try {
    const [document, macs] = await Promise.all([
      server.get('/latest/dynamic/instance-identity/document', signal),
      server.get(macsPath, signal),
    ]);
    const { instanceId, availabilityZone, region } = parseDocument(document);
    const nics = await Promise.all(lines(macs).map((mac) => readNic(server, mac.replace(/\/$/, ''), signal)));
    return { instanceId, zone: availabilityZone, region, nics };
  } finally {
    server.close();
  }
}

/** Name of the role attached to this instance, undefined when there is none. @throws METADATA_UNAVAILABLE with advice; an AbortError. */
export async function readRoleName(options: MetadataOptions, signal: AbortSignal): Promise<string | undefined> {
  const server = await MetadataServer.open(options, signal);
  try {
    return lines(await server.get('/latest/meta-data/iam/security-credentials/', signal))[0];
  } finally {
    server.close();
  }
}

async function readNic(server: MetadataServer, mac: string, signal: AbortSignal): Promise<MachineNic> {
  const read = (leaf: string) => server.get(`${macsPath}${mac}/${leaf}`, signal);
  const [nicId, subnetId, networkId, ipv4s, ipv6s] = await Promise.all(
    ['interface-id', 'subnet-id', 'vpc-id', 'local-ipv4s', 'ipv6s'].map(read),
  );
  if (!nicId) throw unreadable(`the interface with MAC ${mac} has no interface-id`);
  const addresses = [...lines(ipv4s), ...lines(ipv6s)].map((text): Ip => {
    const address = parseIp(text);
    if (!address) throw unreadable(`interface ${nicId} has the address ${JSON.stringify(text)}`);
    return address;
  });
  return { nicId, subnetId, networkId, addresses };
}

function parseDocument(text: string | undefined): z.infer<typeof identityDocument> {
  try {
    return identityDocument.parse(JSON.parse(text ?? ''));
  } catch (error) {
    throw unreadable('the instance identity document is not what EC2 sends', error);
  }
}

function lines(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
}

function unreadable(what: string, cause?: unknown): FlannelVpcError {
  return new FlannelVpcError('METADATA_UNAVAILABLE', `the metadata server answered, but ${what}`, {
    hint: 'see whether something else answers at the metadata address (AWS_EC2_METADATA_SERVICE_ENDPOINT, a proxy)',
    cause,
  });
}
