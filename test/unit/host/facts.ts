/** Values that several host tests use. */
import { cidr } from '../../support/addresses.ts';

export { cidr, ip } from '../../support/addresses.ts';

export const dualStackFamilies = {
  4: { network: cidr('10.5.0.0/16'), subnet: cidr('10.5.42.0/24') },
  6: { network: cidr('fd42::/48'), subnet: cidr('fd42:0:0:7::/64') },
} as const;
