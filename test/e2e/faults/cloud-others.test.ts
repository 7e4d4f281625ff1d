/** The other clouds' APIs misbehave while a controller writes the routes. CI: one fault each, 8 s; FAULTS=long: all, for minutes. */
import type { CloudName } from '../../clouds/cloud-world.ts';
import { cloudFaultCases, describeCloudFaults } from './describe-cloud-faults.ts';

const { throttled, ...others } = cloudFaultCases;
const onDemand = Object.values(others).map((each) => ({ ...each, seconds: { ...each.seconds, ci: 0 } }));
const clouds: readonly (readonly [CloudName, string])[] = [
  ['gce', 'Google Cloud'],
  ['ali-vpc', 'Alibaba Cloud'],
  ['azure-vnet', 'Azure'],
];

for (const [cloud, title] of clouds) {
  describeCloudFaults({ cloud, title, writer: 'controller', cases: [throttled, ...onDemand] });
}
