/** The gce part of net-conf's `Backend`. */
import * as z from 'zod';

/** Options of the gce backend. */
export interface GceConfig {
  /** The VPC network to write to, as `PROJECT/NETWORK`; absent: the one of the node's first interface. */
  readonly network?: string | undefined;
  /** Most static routes of the network, where its quota is not Google's default. */
  readonly routeLimit?: number | undefined;
}

const networkText = 'a VPC network as "PROJECT/NETWORK", such as "my-project/default"';

/** A project id (also of the older kind, `example.com:project`) and a network's name. */
const network = z
  .string()
  .regex(/^(?:[a-z0-9.-]{1,63}:)?[a-z][a-z0-9-]{0,61}[a-z0-9]\/[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/, {
    error: networkText,
  });

/**
 * flannel's gce backend has no members; these are ours. Issue messages say what is allowed.
 *
 * The members are named as in net-conf; the caller has already matched them without regard to case.
 */
export const gceSchema = z
  .object({
    VPCNetwork: z
      .union([z.literal('').transform(() => undefined), network], {
        error: networkText,
      })
      .nullish(),
    RouteLimit: z
      .int({ error: 'a whole number from 1 to 100000: the quota STATIC_ROUTES_PER_NETWORK' })
      .min(1, { error: 'a whole number from 1 to 100000: the quota STATIC_ROUTES_PER_NETWORK' })
      .max(100_000, { error: 'a whole number from 1 to 100000: the quota STATIC_ROUTES_PER_NETWORK' })
      .nullish(),
  })
  .transform(
    ({ VPCNetwork, RouteLimit }): GceConfig => ({
      network: VPCNetwork ?? undefined,
      routeLimit: RouteLimit ?? undefined,
    }),
  );
