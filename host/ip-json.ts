/** What `ip -j` prints, checked, as far as this room reads it (iproute2 4.14 and later). */

import * as z from 'zod';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
import { parseJson } from '../src/core/json.ts';
import type { Run } from './exec.ts';

const addressSchema = z.object({
  family: z.string(),
  local: z.string().optional(),
  prefixlen: z.number(),
  scope: z.string(),
  dynamic: z.boolean().optional(),
  temporary: z.boolean().optional(),
  deprecated: z.boolean().optional(),
});

const linkSchema = z.object({
  ifindex: z.number(),
  ifname: z.string(),
  flags: z.array(z.string()),
  mtu: z.number(),
  /** Of the link layer. */
  address: z.string().optional(),
  /** The bridge (or bond) that it is a port of. */
  master: z.string().optional(),
  ifalias: z.string().optional(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      /** Of vxlan devices; other kinds have other members. */
      info_data: z
        .object({
          ...{ id: z.number().optional(), port: z.number().optional(), link: z.string().optional() },
          ...{ local: z.string().optional(), local6: z.string().optional(), group: z.string().optional() },
          ...{ learning: z.boolean().optional(), gbp: z.boolean().optional() },
        })
        .optional()
        .catch(undefined),
    })
    .optional(),
  addr_info: z.array(addressSchema),
});

const routeSchema = z.object({
  /** Absent for ordinary (unicast) routes. */
  type: z.string().optional(),
  dst: z.string(),
  dev: z.string().optional(),
  protocol: z.string().optional(),
  metric: z.number().optional(),
  prefsrc: z.string().optional(),
  gateway: z.string().optional(),
  flags: z.array(z.string()).optional(),
  nexthops: z.array(z.object({ dev: z.string().optional() })).optional(),
});

const neighbourSchema = z.object({
  dst: z.string(),
  lladdr: z.string().optional(),
  state: z.array(z.string()).optional(),
});

const forwardingSchema = z.object({
  mac: z.string(),
  dst: z.string().optional(),
  flags: z.array(z.string()).optional(),
  /** `permanent`, `static`, or absent for what the device has learnt. */
  state: z.string().optional(),
});

export type IpNeighbour = z.infer<typeof neighbourSchema>;
export type BridgeForwarding = z.infer<typeof forwardingSchema>;
export type IpLink = z.infer<typeof linkSchema>;
export type IpRoute = z.infer<typeof routeSchema>;

/** Links with their addresses; `dev` limits them to one. Throws HOST_COMMAND_FAILED. */
export function readLinks(run: Run, signal: AbortSignal, dev?: string): Promise<readonly IpLink[]> {
  const only = dev === undefined ? [] : ['dev', dev];
  return readJson(run, ['ip', '-d', '-j', 'address', 'show', ...only], z.array(linkSchema), signal);
}

/** The vxlan devices, with their addresses. Throws HOST_COMMAND_FAILED. */
export function readVxlanLinks(run: Run, signal: AbortSignal): Promise<readonly IpLink[]> {
  return readJson(run, ['ip', '-d', '-j', 'address', 'show', 'type', 'vxlan'], z.array(linkSchema), signal);
}

/** Neighbours of the device that somebody set for good, both families. Throws HOST_COMMAND_FAILED. */
export function readNeighbours(run: Run, device: string, signal: AbortSignal): Promise<readonly IpNeighbour[]> {
  const argv = ['ip', '-j', 'neigh', 'show', 'dev', device, 'nud', 'permanent'] as const;
  return readJson(run, argv, z.array(neighbourSchema), signal);
}

/** The device's forwarding database. Throws HOST_COMMAND_FAILED. */
export function readForwarding(run: Run, device: string, signal: AbortSignal): Promise<readonly BridgeForwarding[]> {
  return readJson(run, ['bridge', '-j', 'fdb', 'show', 'dev', device], z.array(forwardingSchema), signal);
}

/** Routes in the kernel's order; `args` follow `ip route`. Throws HOST_COMMAND_FAILED. */
export function readRoutes(
  run: Run,
  family: 4 | 6,
  args: readonly string[],
  signal: AbortSignal,
): Promise<readonly IpRoute[]> {
  return readJson(run, ['ip', `-${family}`, '-j', 'route', ...args], z.array(routeSchema), signal);
}

/**
 * Runs `ip -batch` (or `bridge -batch`): one process for all the commands, each without the leading `ip`. Stops at the first that fails, or with
 * `keepGoing` tries them all; either way a failure throws HOST_COMMAND_FAILED. One that has begun is not cut off by the signal but by
 * `run`'s own deadline: a link that was made and not marked as ours yet would be nobody's for ever.
 */
export async function runBatch(
  run: Run,
  commands: readonly string[],
  signal: AbortSignal,
  options: { readonly keepGoing?: boolean; readonly program?: 'ip' | 'bridge' } = {},
): Promise<void> {
  if (commands.length === 0) return;
  const force = options.keepGoing ? ['-force'] : [];
  const { program = 'ip' } = options;
  signal.throwIfAborted();
  const uncut = new AbortController().signal;
  await run([program, ...force, '-batch', '-'], { input: `${commands.join('\n')}\n`, signal: uncut });
}

async function readJson<T>(
  run: Run,
  argv: readonly [string, ...string[]],
  schema: z.ZodType<T>,
  signal: AbortSignal,
): Promise<T> {
  const { stdout } = await run(argv, { signal });
  try {
    // Nothing at all is how some versions say "none".
    return schema.parse(parseJson(stdout.trim() === '' ? '[]' : stdout));
  } catch (error) {
    throw new FlannelVpcError(
      'HOST_COMMAND_FAILED',
      `cannot read what \`${argv.join(' ')}\` printed: ${errorMessage(error)}`,
      {
        hint: 'The JSON output of iproute2 4.14 or later is needed.',
        cause: error,
        details: { argv },
      },
    );
  }
}
