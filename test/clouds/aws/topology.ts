/** What the proxy knows of LocalStack's instances, NICs and VPCs: read when needed, forgotten when it may have changed. */
import type { Upstream } from './upstream.ts';
import { at, items, textAt, type XmlElement } from './xml.ts';

export interface TopologyNic {
  readonly id: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly instanceId: string | undefined;
  readonly privateAddress: string | undefined;
  readonly sourceDestCheck: boolean;
}

export interface TopologyView {
  readonly nics: ReadonlyMap<string, TopologyNic>;
  /** State name by instance id: `running`, `stopped`, `terminated`, … */
  readonly instances: ReadonlyMap<string, string>;
  /** CIDR blocks of each VPC, both families. */
  readonly vpcs: ReadonlyMap<string, readonly string[]>;
}

/** LocalStack shows no more than 100 reservations unless it is asked for more. */
export const allInstances = '100000';

export class Topology {
  readonly #upstream: Upstream;
  #reading: Promise<TopologyView> | undefined;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  forget(): void {
    this.#reading = undefined;
  }

  async view(region: string): Promise<TopologyView> {
    this.#reading ??= this.#read(region);
    return await this.#reading;
  }

  async #read(region: string): Promise<TopologyView> {
    const [nics, instances, vpcs] = await Promise.all([
      this.#upstream.ask('DescribeNetworkInterfaces', {}, region),
      this.#upstream.ask('DescribeInstances', { MaxResults: allInstances }, region),
      this.#upstream.ask('DescribeVpcs', {}, region),
    ]);
    return {
      nics: new Map(
        items(nics, 'networkInterfaceSet').map((item) => [textAt(item, 'networkInterfaceId') ?? '', toNic(item)]),
      ),
      instances: new Map(
        items(instances, 'reservationSet').flatMap((reservation) =>
          items(reservation, 'instancesSet').map((item) => [
            textAt(item, 'instanceId') ?? '',
            textAt(item, 'instanceState', 'name') ?? '',
          ]),
        ),
      ),
      vpcs: new Map(items(vpcs, 'vpcSet').map((item) => [textAt(item, 'vpcId') ?? '', vpcCidrs(item)])),
    };
  }
}

/** True for a NIC that went away with its instance: EC2 deletes it, LocalStack keeps it. */
export function isGone(view: TopologyView, nicId: string): boolean {
  const nic = view.nics.get(nicId);
  return !nic || (nic.instanceId !== undefined && view.instances.get(nic.instanceId) === 'terminated');
}

/** True when packets sent to the NIC arrive: it exists and its instance runs. */
export function isAlive(view: TopologyView, nicId: string): boolean {
  const nic = view.nics.get(nicId);
  if (!nic || nic.instanceId === undefined) return false;
  return ['running', 'pending'].includes(view.instances.get(nic.instanceId) ?? '');
}

function toNic(item: XmlElement): TopologyNic {
  return {
    id: textAt(item, 'networkInterfaceId') ?? '',
    vpcId: textAt(item, 'vpcId') ?? '',
    subnetId: textAt(item, 'subnetId') ?? '',
    instanceId: textAt(item, 'attachment', 'instanceId'),
    privateAddress: textAt(item, 'privateIpAddress'),
    sourceDestCheck: textAt(item, 'sourceDestCheck') !== 'false',
  };
}

function vpcCidrs(item: XmlElement): readonly string[] {
  const blocks = [
    ...(at(item, 'cidrBlockAssociationSet')?.children ?? []).map((association) => textAt(association, 'cidrBlock')),
    ...(at(item, 'ipv6CidrBlockAssociationSet')?.children ?? []).map((association) =>
      textAt(association, 'ipv6CidrBlock'),
    ),
  ];
  return blocks.filter((block) => block !== undefined);
}
