/** A memory cloud's network of four subnets and three tables: `a` and `b` have one each, `c` and `d` the main one. */
import type { MemoryCloudOptions } from '../../providers/memory/memory-cloud.ts';

export const threeTables: Pick<MemoryCloudOptions, 'networks' | 'tables'> = {
  networks: [
    {
      id: 'vpc-1',
      cidrs: ['10.0.0.0/16'],
      subnets: ['a', 'b', 'c', 'd'].map((name, index) => ({ id: `subnet-${name}`, cidr: `10.0.${index + 1}.0/24` })),
    },
  ],
  tables: [
    { id: 'rtb-main', networkId: 'vpc-1', main: true },
    { id: 'rtb-a', networkId: 'vpc-1', subnetIds: ['subnet-a'] },
    { id: 'rtb-b', networkId: 'vpc-1', subnetIds: ['subnet-b'] },
  ],
};
