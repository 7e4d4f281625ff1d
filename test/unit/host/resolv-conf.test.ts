import { expect, test } from '@jest/globals';
import { parseNameservers } from '../../../host/resolv-conf.ts';
import { ip } from '../../support/addresses.ts';

test('takes the addresses of nameserver lines, and nothing else', () => {
  const text =
    '# nameserver 1.1.1.1\nnameserver 10.0.0.2\nsearch x\nnameserver\tfd00:ec2::253\nnameserver fe80::1%eth0\nnameserver\n';

  expect(parseNameservers(text)).toEqual([ip('10.0.0.2'), ip('fd00:ec2::253')]);
});
