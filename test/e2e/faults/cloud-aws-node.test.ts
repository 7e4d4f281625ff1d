/** EC2's API misbehaves while each node writes its own routes. CI: four faults, 6 to 8 s of each; FAULTS=long: all, for minutes. */
import { cloudFaultCases, describeCloudFaults } from './describe-cloud-faults.ts';
import { expiredCredentials } from './expired-credentials.ts';

const { throttled, denied, cutAfter, ...others } = cloudFaultCases;
const onDemand = Object.values(others).map((each) => ({ ...each, seconds: { ...each.seconds, ci: 0 } }));

describeCloudFaults({
  ...{ cloud: 'aws-vpc', title: 'EC2', writer: 'node' },
  cases: [throttled, denied, cutAfter, expiredCredentials, ...onDemand],
});
