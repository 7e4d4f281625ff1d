/** What `ip -j` prints, checked, as far as this room reads it (iproute2 4.14 and later). */
import * as z from 'zod';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
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
  linkinfo: z.object({ info_kind: z.string().optional() }).optional(),
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
  nexthops: z.array(z.object({ dev: z.string().optional() })).optional(),
});

export type IpLink = z.infer<typeof linkSchema>;
export type IpRoute = z.infer<typeof routeSchema>;

/** Links with their addresses; `dev` limits them to one. Throws HOST_COMMAND_FAILED. */
export function readLinks(run: Run, signal: AbortSignal, dev?: string): Promise<readonly IpLink[]> {
  const only = dev === undefined ? [] : ['dev', dev];
  return readJson(run, ['ip', '-d', '-j', 'address', 'show', ...only], z.array(linkSchema), signal);
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
 * Runs `ip -batch`: one process for all the commands, each without the leading `ip`. Stops at the first that fails, or with
 * `keepGoing` tries them all; either way a failure throws HOST_COMMAND_FAILED.
 */
export async function runBatch(
  run: Run,
  commands: readonly string[],
  signal: AbortSignal,
  options: { readonly keepGoing?: boolean } = {},
): Promise<void> {
  if (commands.length === 0) return;
  const force = options.keepGoing ? ['-force'] : [];
  await run(['ip', ...force, '-batch', '-'], { input: `${commands.join('\n')}\n`, signal });
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
    return schema.parse(JSON.parse(stdout.trim() === '' ? '[]' : stdout));
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
