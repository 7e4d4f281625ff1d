/** EC2's API misbehaves while a controller writes the routes. CI: eight faults, 6 to 33 s of each; FAULTS=long: all, for minutes. */
import { cloudFaultCases, describeCloudFaults } from './describe-cloud-faults.ts';

describeCloudFaults({
  ...{ cloud: 'aws-vpc', title: 'EC2', writer: 'controller' },
  cases: Object.values(cloudFaultCases),
});
