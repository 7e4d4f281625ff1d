/** Who this machine is, from Azure's instance metadata service: one request. */

import * as z from 'zod';
import type { FlannelVpcError } from '../../src/core/errors.ts';
import { type Ip, parseIp } from '../../src/core/ip.ts';
import { parseJson } from '../../src/core/json.ts';
import { MetadataHttp } from '../metadata-http.ts';
import type { MachineIdentity, MachineNic } from '../provider.ts';
import { type Environment, metadataEndpoint } from './environment.ts';
import { kinds, shortId } from './ids.ts';

/** This machine, and what only this provider asks of it. */
export interface AzureMachine {
  readonly identity: MachineIdentity;
  readonly subscription: string;
  readonly group: string;
  /** What the machine's cloud is called, such as `AzurePublicCloud`. */
  readonly azEnvironment: string | undefined;
}

/** "Azure Instance Metadata Service", version 2021-02-01. Absent values come as empty texts. */
const path = '/metadata/instance?api-version=2021-02-01&format=json';

const text = z.string().max(512);
const addresses = z
  .object({
    ipAddress: z
      .array(z.object({ privateIpAddress: text.optional() }))
      .max(1000)
      .optional(),
  })
  .optional();
const document = z.object({
  compute: z.object({
    subscriptionId: text.min(1),
    resourceGroupName: text.min(1),
    name: text.min(1),
    location: text.optional(),
    zone: text.optional(),
    resourceId: text.optional(),
    azEnvironment: text.optional(),
  }),
  network: z.object({
    interface: z.array(z.object({ macAddress: text, ipv4: addresses, ipv6: addresses })).max(100),
  }),
});

/** @throws METADATA_UNAVAILABLE with advice; CONFIG_INVALID for its configured address; an AbortError. */
export async function readMachine(environment: Environment, signal: AbortSignal): Promise<AzureMachine> {
  const server = new MetadataHttp({
    endpoint: metadataEndpoint(environment),
    cloud: 'Azure',
    headers: { Metadata: 'true' },
    hints: {
      silent: 'in a container use the host’s network; else see whether a firewall drops 169.254.169.254',
      unreachable:
        'this program finds out who it is from Azure’s metadata server, so it must run on a virtual machine of Azure that can reach it',
      refused:
        'see whether something else answers at 169.254.169.254 (FLANNEL_VPC_AZURE_METADATA, a proxy); else try again',
    },
  });
  try {
    const body = await server.text(path, signal);
    if (body === undefined) throw server.unusable('it does not know /metadata/instance', { status: 404 });
    const { compute, network } = document.parse(parseJson(body), { reportInput: false });
    const subscription = compute.subscriptionId.toLowerCase();
    const group = compute.resourceGroupName.toLowerCase();
    const { resourceId, location, zone, azEnvironment } = compute;
    const instanceId =
      shortId(resourceId, kinds.machine) ??
      shortId(resourceId, kinds.member) ??
      `${subscription}/${group}/${compute.name.toLowerCase()}`;
    const identity: MachineIdentity = {
      instanceId,
      zone: zone || undefined,
      region: location || undefined,
      nics: network.interface.map((nic) => nicOf(nic, server)),
      clockAheadMs: server.clockAheadMs,
    };
    return { identity, subscription, group, azEnvironment: azEnvironment || undefined };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !isZodError(error)) throw error;
    throw server.unusable('it answered, but not as Azure’s does', { cause: error });
  } finally {
    server.close();
  }
}

function nicOf(nic: z.infer<typeof document>['network']['interface'][number], server: MetadataHttp): MachineNic {
  const mac = canonicalMac(nic.macAddress);
  if (mac === undefined) throw server.unusable(`it names an interface ${JSON.stringify(nic.macAddress)}`);
  const found = [nic.ipv4, nic.ipv6]
    .flatMap((part) => part?.ipAddress ?? [])
    .flatMap(({ privateIpAddress: address }): readonly Ip[] =>
      address ? [parseIp(address) ?? unreadable(server, mac, address)] : [],
    );
  // Neither the NIC's name nor its subnet is told: `resolve` finds them.
  return { nicId: mac, subnetId: undefined, networkId: undefined, addresses: found };
}

/** `000D3AF806EC`, `00-0D-3A-F8-06-EC` and the like, as `00:0d:3a:f8:06:ec`; undefined for what is none. */
export function canonicalMac(mac: string): string | undefined {
  const digits = mac.toLowerCase().replaceAll(/[:-]/g, '');
  return /^[0-9a-f]{12}$/.test(digits) ? digits.replaceAll(/(..)(?=.)/g, '$1:') : undefined;
}

function unreadable(server: MetadataHttp, mac: string, address: string): never {
  const error: FlannelVpcError = server.unusable(`interface ${mac} has the address ${JSON.stringify(address)}`);
  throw error;
}

/** By shape: a schema library may be there twice. */
function isZodError(error: unknown): boolean {
  return (error as { name?: unknown } | null)?.name === 'ZodError';
}
