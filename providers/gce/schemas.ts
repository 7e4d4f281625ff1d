/** What is read of Compute Engine's answers. Everything else in them is left aside; unknown words are no mistake. */
import * as z from 'zod';

/** The SDK gives null or nothing where the answer has nothing, depending on the field. */
const text = z
  .string()
  .nullish()
  .transform((value) => (value === '' ? undefined : (value ?? undefined)));
const number = z
  .number()
  .nullish()
  .transform((value) => value ?? undefined);
const many = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);

export const routeSchema = z.object({
  name: z.string(),
  network: text,
  destRange: text,
  description: text,
  priority: number,
  tags: many(z.string()),
  routeType: text,
  nextHopInstance: text,
  nextHopIp: text,
  nextHopIlb: text,
  nextHopGateway: text,
  nextHopNetwork: text,
  nextHopPeering: text,
  nextHopVpnTunnel: text,
  nextHopInterconnectAttachment: text,
  nextHopHub: text,
  warnings: many(z.object({ code: text, message: text })),
});
/** A route as `routes.get` and `routes.list` show it. */
export type Route = z.infer<typeof routeSchema>;

export const operationSchema = z.object({
  name: z.string().min(1),
  status: text,
  error: z
    .object({
      errors: many(
        z.object({
          code: text,
          message: text,
          errorDetails: many(z.object({ quotaInfo: z.object({ limit: number, limitName: text }).nullish() })),
        }),
      ),
    })
    .nullish(),
  httpErrorStatusCode: number,
  httpErrorMessage: text,
});
export type Operation = z.infer<typeof operationSchema>;

export const nicSchema = z.object({
  name: text,
  network: text,
  subnetwork: text,
  networkIP: text,
  ipv6Address: text,
  accessConfigs: many(z.object({ natIP: text })),
  ipv6AccessConfigs: many(z.object({ externalIpv6: text })),
});

export const instanceSchema = z.object({
  name: z.string(),
  zone: text,
  status: text,
  canIpForward: z.boolean().nullish(),
  networkInterfaces: many(nicSchema),
  tags: z.object({ items: many(z.string()) }).nullish(),
  serviceAccounts: many(z.object({ email: text })),
});
/** An instance as `instances.get` and `instances.aggregatedList` show it. */
export type Instance = z.infer<typeof instanceSchema>;
export type InstanceNic = z.infer<typeof nicSchema>;

/** What an aggregated list has for one zone. */
export const instancesOfZoneSchema = z.object({ instances: many(instanceSchema) });

export const subnetsOfRegionSchema = z.object({
  subnetworks: many(
    z.object({
      name: z.string(),
      network: text,
      ipCidrRange: text,
      internalIpv6Prefix: text,
      externalIpv6Prefix: text,
      secondaryIpRanges: many(z.object({ rangeName: text, ipCidrRange: text })),
    }),
  ),
});

export const networkSchema = z.object({ name: z.string(), IPv4Range: text, internalIpv6Range: text });

export const firewallSchema = z.object({
  name: z.string(),
  network: text,
  direction: text,
  disabled: z.boolean().nullish(),
  priority: number,
  sourceRanges: many(z.string()),
  targetTags: many(z.string()),
  targetServiceAccounts: many(z.string()),
  allowed: many(z.object({ IPProtocol: text, ports: many(z.string()) })),
  denied: many(z.object({ IPProtocol: text, ports: many(z.string()) })),
});
export type Firewall = z.infer<typeof firewallSchema>;

/** Of the permissions asked about: those that the caller has. */
export const permissionsSchema = z.object({ permissions: many(z.string()) });
