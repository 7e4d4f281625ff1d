/** The ali-vpc part of net-conf's `Backend`. */
import * as z from 'zod';
import type { Cidr } from '../../src/core/ip.ts';
import { hiddenText, Secret } from '../../src/core/secret.ts';

/** By which of a region's endpoints the APIs are asked: `vpc` is for machines without a way to the internet. */
export type EndpointType = 'public' | 'vpc';

/** An access key of a RAM user. Neither half reaches a log. */
export interface AccessKey {
  readonly id: Secret;
  readonly secret: Secret;
}

/** The services' range, which Alibaba Cloud keeps for itself in every VPC. */
export const serviceRange = { family: 4, address: 0x64_40_00_00n, length: 10 } as const satisfies Cidr;

/** Options of the ali-vpc backend. */
export interface AliVpcConfig {
  /** Route tables to write to; empty means: those that serve this node's vSwitch, found by asking the VPC API. */
  readonly routeTableIds: readonly string[];
  /** Region of the tables; the environment's or the metadata server's when absent. */
  readonly regionId?: string | undefined;
  readonly endpointType?: EndpointType | undefined;
  /** Most custom entries of a table, where its quota is not the cloud's default. */
  readonly routeLimit?: number | undefined;
  /** flannel's static key; the environment's or a role's credentials when absent. */
  readonly accessKey?: AccessKey | undefined;
}

const tableText = 'a route table id such as "vtb-bp145q7glnuzdvzu2abcd", or a list of them';
const regionText = 'a region id such as "cn-hangzhou"';
const limitText = 'a whole number from 1 to 100000: the quota vpc_quota_route_entrys_num';
const keyText =
  'the key as RAM shows it, without spaces ("netconf get" hides it: what it prints must be completed before "netconf set")';

const tableId = z.string().regex(/^vtb-[0-9a-z]{4,40}$/, { error: tableText });

const regionId = z.string({ error: regionText }).regex(/^([a-z]{2,16}(-[a-z0-9]{1,16}){1,4})?$/, { error: regionText });

/** A value that is kept out of sight from here on. */
const hiddenValue = z
  .string({ error: keyText })
  .regex(/^[\x21-\x7e]{0,256}$/, { error: keyText })
  .refine((text) => text !== hiddenText, { error: keyText })
  .transform((text) => new Secret(text));

/**
 * flannel's `AccessKeyID` and `AccessKeySecret`: both or neither. Ours: `RouteTableID`, found by itself when absent or empty,
 * `RegionID`, `EndpointType` and `RouteLimit`. Issue messages say what is allowed.
 *
 * The members are named as in net-conf; the caller has already matched them without regard to case.
 */
export const aliVpcSchema = z
  .object({
    RouteTableID: z
      .union([z.literal('').transform(() => []), tableId.transform((id) => [id]), z.array(tableId).max(10)], {
        error: tableText,
      })
      .nullish(),
    RegionID: regionId.nullish(),
    EndpointType: z.enum(['public', 'vpc'], { error: '"public" or "vpc"' }).nullish(),
    RouteLimit: z.int({ error: limitText }).min(1, { error: limitText }).max(100_000, { error: limitText }).nullish(),
    AccessKeyID: hiddenValue.nullish(),
    AccessKeySecret: hiddenValue.nullish(),
  })
  .refine(({ AccessKeyID: id, AccessKeySecret: secret }) => isGiven(id) === isGiven(secret), {
    path: ['AccessKeySecret'],
    error: 'both AccessKeyID and AccessKeySecret, or neither: then a role or the environment gives them',
  })
  .transform(
    ({
      RouteTableID,
      RegionID,
      EndpointType: endpointType,
      RouteLimit: routeLimit,
      AccessKeyID: id,
      AccessKeySecret: secret,
    }): AliVpcConfig => ({
      routeTableIds: [...new Set(RouteTableID ?? [])],
      ...(RegionID ? { regionId: RegionID } : {}),
      ...(endpointType ? { endpointType } : {}),
      ...(routeLimit ? { routeLimit } : {}),
      ...(isGiven(id) && isGiven(secret) ? { accessKey: { id, secret } } : {}),
    }),
  );

/** flannel takes an empty text for none. */
function isGiven(value: Secret | null | undefined): value is Secret {
  return value !== null && value !== undefined && !value.isEmpty;
}
