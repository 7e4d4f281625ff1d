/** The vxlan part of net-conf's `Backend`, with flannel's names and defaults. */
import * as z from 'zod';

export interface VxlanConfig {
  readonly vni: number;
  /** UDP port; the kernel's own default where net-conf has 0 or none. */
  readonly port: number;
  /** Of the external interface, bytes, in place of what it has; undefined: what it has. */
  readonly mtu: number | undefined;
  readonly learning: boolean;
  readonly gbp: boolean;
  /** Peers on the external interface's own link are reached without encapsulation. */
  readonly directRouting: boolean;
}

/** The Linux kernel's `udp_port` parameter of vxlan; IANA's 4789 came later. */
const kernelPort = 8472;

const flag = z.boolean({ error: 'true or false' }).nullish();
const number = (least: number, most: number) =>
  z
    .int({ error: `a whole number from ${least} to ${most}` })
    .min(least, { error: `a whole number from ${least} to ${most}` })
    .max(most, { error: `a whole number from ${least} to ${most}` })
    .nullish();

/** The members are named as in net-conf; the caller has already matched them without regard to case. */
export const vxlanSchema = z
  .object({
    VNI: number(0, 0xff_ff_ff),
    Port: number(0, 65_535),
    // Smaller ones leave no room for IPv4's least packet; IPv6's least is looked at where IPv6 is in use.
    MTU: number(0, 65_535).refine((mtu) => !mtu || mtu >= 576 + 50, { error: '0, or from 626 to 65535' }),
    Learning: flag,
    GBP: flag,
    DirectRouting: flag,
  })
  .transform(
    ({ VNI, Port, MTU, Learning, GBP, DirectRouting }): VxlanConfig => ({
      vni: VNI ?? 1,
      port: Port || kernelPort,
      mtu: MTU || undefined,
      learning: Learning ?? false,
      gbp: GBP ?? false,
      directRouting: DirectRouting ?? false,
    }),
  );

export const vxlanMembers: readonly string[] = ['VNI', 'Port', 'MTU', 'Learning', 'GBP', 'DirectRouting'];
