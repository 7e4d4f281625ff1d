/** EC2, by LocalStack behind its proxy. */
import { describeCloud } from './describe-cloud.ts';

// NIC, tables, and the tables once more to confirm; two tables, and the source/dest check.
describeCloud({ cloud: 'aws-vpc', join: { reads: 3, changes: 3 } });
