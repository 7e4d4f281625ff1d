/** EC2, by LocalStack behind its proxy. */
import { describeCloud } from './describe-cloud.ts';

describeCloud({
  cloud: 'aws-vpc',
  join: {
    DescribeNetworkInterfaces: 1,
    // Once before and once to confirm.
    DescribeRouteTables: 2,
    // One in each table.
    CreateRoute: 2,
    ModifyNetworkInterfaceAttribute: 1,
  },
});
