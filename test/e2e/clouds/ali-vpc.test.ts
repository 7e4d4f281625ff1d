/** Alibaba Cloud, by its simulator. */
import { describeCloud } from './describe-cloud.ts';

describeCloud({
  cloud: 'ali-vpc',
  join: {
    DescribeNetworkInterfaces: 1,
    // Each of two tables by its id, once before and once to confirm.
    DescribeRouteTableList: 4,
    // The same, and each entry once while it is being made.
    DescribeRouteEntryList: 10,
    // One in each table; a VPC makes one change at a time, and tells the other two that join to come again.
    CreateRouteEntry: 6,
    ModifyNetworkInterfaceAttribute: 1,
  },
});
