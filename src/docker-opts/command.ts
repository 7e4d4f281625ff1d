/** `flannel-vpc docker-opts`, and the same program called as mk-docker-opts.sh: subnet.env in, Docker's options out. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { writeAtomically } from '../../host/atomic-file.ts';
import { createPrograms } from '../../host/exec.ts';
import { readRoutes } from '../../host/ip-json.ts';
import { commandUsage } from '../cli/command-usage.ts';
import { FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import { cidrOf, formatCidr, parseInterfaceAddress } from '../core/ip.ts';
import { dockerOptionsText, readDockerOptions } from './docker-opts.ts';
import { parseDockerOpts } from './options.ts';

/** Longest time for the kernel to tell its routes, milliseconds. */
const routesMs = 10_000;

/**
 * Runs the command and gives its exit code: 1 where the kernel has a route to the subnet by a gateway, which the bridge could not take
 * the place of; the file is written all the same, as by flannel's script.
 *
 * @throws CONFIG_INVALID for what the file says, HOST_COMMAND_FAILED where it can't be read or written.
 */
export async function dockerOptsCommand(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const options = optionsOf(argv);
  if (options === undefined) return 1;
  if (options === 'help') {
    process.stdout.write(commandUsage('docker-opts'));
    return 0;
  }
  const docker = readDockerOptions(await textOf(options.subnetFile));
  const before = options.combined ? environment[options.key] : undefined;
  await write(options.optionsFile, dockerOptionsText(docker, options, before));
  const obstacle = docker.bip === undefined ? undefined : await gatewayRoute(docker.bip);
  if (obstacle === undefined) return 0;
  process.stderr.write(`Your routing table already contains the subnet: ${obstacle}\n`);
  return 1;
}

/** Undefined where they are wrong, which is told with the usage: the script ends with 1 then, and units know that code. */
function optionsOf(argv: readonly string[]): ReturnType<typeof parseDockerOpts> | undefined {
  try {
    return parseDockerOpts(argv);
  } catch (error) {
    if (!isFlannelVpcError(error, 'USAGE')) throw error;
    process.stderr.write(`${error.message}\n${commandUsage('docker-opts')}`);
    return undefined;
  }
}

/** A missing file is none; anything else is told. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError('read', path, error);
  }
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeAtomically(path, text, `.${basename(path)}.new`);
  } catch (error) {
    throw fileError('write', path, error);
  }
}

function fileError(verb: string, path: string, cause: unknown): FlannelVpcError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new FlannelVpcError('HOST_COMMAND_FAILED', `cannot ${verb} ${path}: ${why}`, {
    hint:
      verb === 'read'
        ? 'Name another file with -f, or run this as root.'
        : 'Name another file with -d, or run this as root.',
    cause,
  });
}

/** The kernel's route to exactly this subnet by a gateway, in `ip`'s words. */
async function gatewayRoute(bip: string): Promise<string | undefined> {
  const address = parseInterfaceAddress(bip);
  if (!address) return undefined;
  const subnet = formatCidr(cidrOf(address.ip, address.length));
  const { run } = createPrograms();
  const routes = await readRoutes(run, 4, ['show', 'exact', subnet], AbortSignal.timeout(routesMs));
  const route = routes.find(({ gateway }) => gateway !== undefined);
  return route && `${subnet} via ${route.gateway}${route.dev === undefined ? '' : ` dev ${route.dev} `}`;
}
