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
    const [macs, ...words] = await Promise.all([
      server.get(macsPath, signal),
      ...['instance-id', 'placement/availability-zone', 'placement/region'].map((leaf) =>
        server.word(`/latest/meta-data/${leaf}`, signal),
      ),
    ]);
    const [instanceId, zone, region] = words;
    if (!instanceId || !/^[\w-]{1,64}$/.test(instanceId)) throw unreadable('its instance-id is not what EC2 sends');
    const nics = await Promise.all(macsIn(macs).map((mac) => readNic(server, mac, signal)));
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
    // A name of IAM's (RoleName, "CreateRole"): it goes into messages and a path.
    const [name] = lines(await server.get('/latest/meta-data/iam/security-credentials/', signal));
    if (name !== undefined && !/^[\w+=,.@-]{1,128}$/.test(name)) throw unreadable('its role is none that IAM can have');
    return name;
  } finally {
    server.close();
  }
}

async function readNic(server: MetadataServer, mac: string, signal: AbortSignal): Promise<MachineNic> {
  const path = (leaf: string) => `${macsPath}${mac}/${leaf}`;
  const [nicId, subnetId, networkId, ipv4s, ipv6s] = await Promise.all([
    ...['interface-id', 'subnet-id', 'vpc-id'].map((leaf) => server.word(path(leaf), signal)),
    ...['local-ipv4s', 'ipv6s'].map((leaf) => server.get(path(leaf), signal)),
  ]);
  if (!nicId) throw unreadable(`the interface with MAC ${mac} has no interface-id`);
  const addresses = [...lines(ipv4s), ...lines(ipv6s)].map((text): Ip => {
    const address = parseIp(text);
    if (!address) throw unreadable(`interface ${nicId} has the address ${JSON.stringify(text.slice(0, 60))}`);
    return address;
  });
  return { nicId, subnetId, networkId, addresses };
}

/** Each is asked for five times, so that a list of thousands is none of a machine's. */
function macsIn(text: string | undefined): readonly string[] {
  const macs = lines(text).map((line) => line.replace(/\/$/, ''));
  if (macs.length > 100 || !macs.every((mac) => /^[0-9a-f:]{1,40}$/i.test(mac))) {
    throw unreadable('its list of interfaces is not what EC2 sends');
  }
  return macs;
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
