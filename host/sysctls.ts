/** Kernel switches under /proc/sys: read and written as files, and written only when they differ. */
import { access, readFile, writeFile } from 'node:fs/promises';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
import type { Family } from '../src/core/ip.ts';
import type { Run } from './exec.ts';
import { readRoutes } from './ip-json.ts';

const forwardingFiles: Readonly<Record<Family, string>> = {
  4: '/proc/sys/net/ipv4/ip_forward',
  6: '/proc/sys/net/ipv6/conf/all/forwarding',
};

/**
 * Turns forwarding on. Returns what changed.
 *
 * IPv6 forwarding makes the kernel drop router advertisements, and the default route with them, on interfaces where
 * accept_ra is 1; those get 2 first (kernel document ip-sysctl, accept_ra). Throws HOST_COMMAND_FAILED.
 */
export async function enableForwarding(
  run: Run,
  wanted: readonly Family[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const changes = await Promise.all(
    wanted.map(async (family) => {
      const file = forwardingFiles[family];
      if ((await read(file)) === '1') return [];
      const before = family === 6 ? await keepAdvertisedRoutes(run, signal) : [];
      await write(file, '1');
      return [...before, `${file}: 1`];
    }),
  );
  return changes.flat();
}

/**
 * The switches that make bridged packets pass iptables, as far as they are missing (the module br_netfilter is not
 * loaded). Without them pods of one bridge reach each other past the rules; a warning's worth.
 */
export async function missingBridgeNetfilter(wanted: readonly Family[]): Promise<readonly string[]> {
  const files = wanted.map((family) => `/proc/sys/net/bridge/bridge-nf-call-${family === 4 ? 'ip' : 'ip6'}tables`);
  const present = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => true,
        () => false,
      ),
    ),
  );
  return files.filter((_, index) => !present[index]);
}

async function keepAdvertisedRoutes(run: Run, signal: AbortSignal): Promise<readonly string[]> {
  const routes = await readRoutes(run, 6, ['show', 'default'], signal);
  const names = new Set(
    routes
      .filter((route) => route.protocol === 'ra')
      .flatMap((route) => [route.dev, ...(route.nexthops ?? []).map((hop) => hop.dev)]),
  );
  const changes: string[] = [];
  for (const name of names) {
    if (name === undefined) continue;
    const file = `/proc/sys/net/ipv6/conf/${name}/accept_ra`;
    // 0: a program (systemd-networkd) minds the advertisements, and the kernel does not touch its routes.
    if ((await read(file)) !== '1') continue;
    await write(file, '2');
    changes.push(`${file}: 2`);
  }
  return changes;
}

/** A setting's text. @throws HOST_COMMAND_FAILED. */
export async function read(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new FlannelVpcError('HOST_COMMAND_FAILED', `cannot read ${file}: ${errorMessage(error)}`, {
      hint: 'Does this kernel have that protocol? Switch its family off in net-conf if not.',
      cause: error,
      details: { file },
    });
  }
}

/** @throws HOST_COMMAND_FAILED, with the command to run on the host where /proc/sys is read-only. */
export async function write(file: string, value: string): Promise<void> {
  try {
    await writeFile(file, value);
  } catch (error) {
    throw unwritable(file, value, error);
  }
}

/** In a container that is not privileged /proc/sys is read-only, whatever its capabilities: somebody else has to set it. */
function unwritable(file: string, value: string, cause: unknown): FlannelVpcError {
  const setting = `${file.replace('/proc/sys/', '').replaceAll('/', '.')}=${value}`;
  const readOnly = cause instanceof Error && 'code' in cause && (cause.code === 'EROFS' || cause.code === 'EACCES');
  return new FlannelVpcError('HOST_COMMAND_FAILED', `cannot write ${file}: ${errorMessage(cause)}`, {
    hint: readOnly
      ? `/proc/sys is read-only for this process: on the host run "sysctl -w ${setting}" and put it in /etc/sysctl.d; in Kubernetes the manifest's init container "sysctls" does it.`
      : `On the host run "sysctl -w ${setting}", and put it in /etc/sysctl.d.`,
    cause,
    details: { file },
  });
}
