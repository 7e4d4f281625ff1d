/** Who this machine is, from ECS's metadata server, in its hardened mode only: a token first, then a few requests side by side. */
import { type Ip, parseIp } from '../../src/core/ip.ts';
import { MetadataHttp } from '../metadata-http.ts';
import type { MachineIdentity, MachineNic } from '../provider.ts';

/** Fixed in the SDK's credentials too ("Instance metadata" in the ECS user guide). */
const endpoint = new URL('http://100.100.100.200');
const macsPath = 'network/interfaces/macs/';

const hints = {
  silent:
    'in a container use the host’s network; else see whether a firewall or a route of this machine hides 100.100.100.200',
  unreachable:
    'this program finds out who it is from ECS’s metadata server, so it must run on an ECS instance that can reach it',
  refused:
    'switch it on: aliyun ecs ModifyInstanceMetadataOptions --RegionId REGION --InstanceId ID --HttpEndpoint enabled; or see whether something else answers at 100.100.100.200',
};

/** @throws METADATA_UNAVAILABLE with advice; an AbortError. */
export async function readIdentity(signal: AbortSignal): Promise<MachineIdentity> {
  const server = new MetadataHttp({ endpoint, cloud: 'ECS', hints });
  try {
    const token = await server.send('/latest/api/token', signal, {
      method: 'PUT',
      headers: { 'x-aliyun-ecs-metadata-token-ttl-seconds': '300' },
    });
    if (token.status !== 200 || token.body.trim() === '') {
      throw server.unusable(`the request for a token gave HTTP status ${token.status}`, { status: token.status });
    }
    const headers = { 'x-aliyun-ecs-metadata-token': token.body.trim() };
    const read = async (leaf: string): Promise<string | undefined> =>
      (await server.text(`/latest/meta-data/${leaf}`, signal, { headers }))?.trim() || undefined;

    const word = async (leaf: string) => server.word(leaf.split('/').at(-1) ?? leaf, await read(leaf));
    const [macs, ...names] = await Promise.all([
      read(macsPath),
      ...['instance-id', 'zone-id', 'region-id', 'vpc-id'].map(word),
    ]);
    const [instanceId, zone, region, vpcId] = names;
    if (!instanceId || !/^[\w-]{1,64}$/.test(instanceId)) {
      throw server.unusable('it answered, but its instance-id is not what ECS sends');
    }
    const interfaces = words(macs).map((text) => text.replace(/\/$/, ''));
    // Each is asked for six times.
    if (interfaces.length > 100 || !interfaces.every((mac) => /^[0-9a-f:]{1,40}$/i.test(mac))) {
      throw server.unusable('it answered, but its list of interfaces is not what ECS sends');
    }
    const nics = await Promise.all(
      interfaces.map(async (mac): Promise<MachineNic> => {
        const path = (leaf: string) => `${macsPath}${mac}/${leaf}`;
        const [nicId, subnetId, networkId, primary, ipv4s, ipv6s] = await Promise.all([
          ...['network-interface-id', 'vswitch-id', 'vpc-id'].map((leaf) => word(path(leaf))),
          ...['primary-ip-address', 'private-ipv4s', 'ipv6s'].map((leaf) => read(path(leaf))),
        ]);
        if (!nicId) throw server.unusable(`it answered, but the interface with MAC ${mac} has no network-interface-id`);
        const addresses = [...new Set([primary, ipv4s, ipv6s].flatMap(words))].map((each): Ip => {
          const address = parseIp(each);
          if (!address)
            throw server.unusable(`it answered, but ${nicId} has the address ${JSON.stringify(each.slice(0, 60))}`);
          return address;
        });
        return { nicId, subnetId, networkId: networkId ?? vpcId, addresses };
      }),
    );
    return { instanceId, zone, region, nics, clockAheadMs: server.clockAheadMs };
  } finally {
    server.close();
  }
}

/** Lists come one to a line, or in brackets with commas. */
function words(text: string | undefined): readonly string[] {
  return (text ?? '').split(/[\s,"[\]]+/).filter(Boolean);
}
