/** Who this machine is, from EC2's metadata server (IMDSv2 only: a token first, then a few requests side by side). */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { type Ip, parseIp } from '../../src/core/ip.ts';
import type { MachineIdentity, MachineNic } from '../provider.ts';
import { type MetadataOptions, MetadataServer } from './imds-http.ts';

const macsPath = '/latest/meta-data/network/interfaces/macs/';

/** @throws METADATA_UNAVAILABLE with advice; an AbortError. */
export async function readIdentity(options: MetadataOptions, signal: AbortSignal): Promise<MachineIdentity> {
  const server = await MetadataServer.open(options, signal);
  try {
    const [instanceId, zone, region, macs] = await Promise.all(
      ['instance-id', 'placement/availability-zone', 'placement/region', 'network/interfaces/macs/'].map(async (leaf) =>
        (await server.get(`/latest/meta-data/${leaf}`, signal))?.trim(),
      ),
    );
    if (!instanceId || !/^[\w-]{1,64}$/.test(instanceId)) throw unreadable('its instance-id is not what EC2 sends');
    const nics = await Promise.all(lines(macs).map((mac) => readNic(server, mac.replace(/\/$/, ''), signal)));
    const { clockAheadMs } = server;
    return { instanceId, zone: zone || undefined, region: region || regionOf(zone), nics, clockAheadMs };
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

/** The Region of an availability zone, whose name is the Region's and a letter: for servers that leave `placement/region` out. */
function regionOf(zone: string | undefined): string | undefined {
  return /^([a-z-]+-\d)[a-z]$/.exec(zone ?? '')?.[1];
}

function lines(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
}

function unreadable(what: string): FlannelVpcError {
  return new FlannelVpcError('METADATA_UNAVAILABLE', `the metadata server answered, but ${what}`, {
    hint: 'see whether something else answers at the metadata address (AWS_EC2_METADATA_SERVICE_ENDPOINT, a proxy)',
  });
}
