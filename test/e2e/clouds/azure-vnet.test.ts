/** Azure, by its simulator. */
import { describeCloud } from './describe-cloud.ts';

describeCloud({
  cloud: 'azure-vnet',
  join: {
    'GET virtualMachines': 1,
    // To resolve it, and once more for the ETag when it is let forward.
    'GET networkInterfaces': 2,
    'PUT networkInterfaces': 1,
    // Each of two tables once before and once to confirm, and for its ETag before each try.
    'GET routeTables': 14,
    // One in each table; three nodes that join together meet in them, and the slower ones try again.
    'PUT routes': 8,
    'GET routes': 4,
    'GET operations': 6,
  },
});
