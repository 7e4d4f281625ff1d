/** Hosts that are reached by ways of the operator's own, where plain HTTP shows a token to nobody else. Pure. */
import { cidrContainsIp, parseCidr, parseIp } from '../src/core/ip.ts';

/** Loopback, private and link-local. */
const ownRanges = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '::1/128',
  'fe80::/10',
  'fc00::/7',
]
  .map(parseCidr)
  .filter((range) => range !== undefined);

/** True for `localhost` and addresses of those ranges, as a URL's `hostname` has them. Names are not looked up. */
export function isOwnHost(hostname: string): boolean {
  if (hostname === 'localhost') return true;
  const address = parseIp(hostname.replace(/^\[(.*)\]$/, '$1'));
  return address !== undefined && ownRanges.some((range) => cidrContainsIp(range, address));
}
