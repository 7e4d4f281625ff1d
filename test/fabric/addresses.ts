/** Addresses of the rig, as text. */

/** The address `host` places above the network's, such as `10.0.1.11` for `10.0.1.0/24` and 11. */
export function hostOf(cidr: string, host: number): string {
  const [a, b, c, d] = (cidr.split('/')[0] ?? '').split('.').map(Number);
  return [a, b, c, (d ?? 0) + host].join('.');
}
