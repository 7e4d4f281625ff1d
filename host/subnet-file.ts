/** subnet.env, the file through which CNI, Docker and the next start learn this node's subnet. */
import { readFile, utimes } from 'node:fs/promises';
import { basename } from 'node:path';
import * as z from 'zod';
import { errorMessage } from '../src/core/errors.ts';
import {
  type Cidr,
  type Family,
  formatCidr,
  formatIp,
  type Ip,
  parseCidr,
  parseInterfaceAddress,
} from '../src/core/ip.ts';
import type { Logger } from '../src/core/log.ts';
import { textOf, writeAtomically } from './atomic-file.ts';
import type { SubnetFile } from './host.ts';

const address = (family: Family) =>
  z
    .string()
    .transform((text, context) => {
      const parsed = parseInterfaceAddress(text);
      if (parsed?.ip.family === family) return parsed;
      context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is no IPv${family} address with a length` });
      return z.NEVER;
    })
    .optional();

const network = (family: Family) =>
  z
    .string()
    .transform((text, context) => {
      const parsed = parseCidr(text);
      if (parsed?.family === family) return parsed;
      context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is no IPv${family} CIDR` });
      return z.NEVER;
    })
    .optional();

const fileSchema = z.object({
  FLANNEL_NETWORK: network(4),
  FLANNEL_SUBNET: address(4),
  FLANNEL_IPV6_NETWORK: network(6),
  FLANNEL_IPV6_SUBNET: address(6),
  FLANNEL_MTU: z
    .string()
    .regex(/^\d{1,9}$/, 'no number of bytes')
    .transform(Number)
    .default(0),
  FLANNEL_IPMASQ: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .default(false),
});

/** The file's text: flannel's lines in flannel's order, each family only when present. */
export function formatSubnetFile(file: SubnetFile): string {
  const lines = [
    file.networks[4] && `FLANNEL_NETWORK=${formatCidr(file.networks[4])}`,
    file.subnets[4] && `FLANNEL_SUBNET=${addressText(file.subnets[4])}`,
    file.networks[6] && `FLANNEL_IPV6_NETWORK=${formatCidr(file.networks[6])}`,
    file.subnets[6] && `FLANNEL_IPV6_SUBNET=${addressText(file.subnets[6])}`,
    `FLANNEL_MTU=${file.mtu}`,
    `FLANNEL_IPMASQ=${file.ipMasq}`,
  ];
  return lines.map((line) => (line === undefined ? '' : `${line}\n`)).join('');
}

/** Parses the text; a file without MTU or masquerade line has 0 and false. Throws an Error that says what is wrong. */
export function parseSubnetFile(text: string): SubnetFile {
  return readValues(valuesOf(text));
}

/** Only the subnets of the text, to which flannel keeps whatever its other variables say. Undefined where they can't be read either. */
function subnetsOf(text: string): SubnetFile | undefined {
  try {
    const { FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET } = valuesOf(text);
    return readValues({ FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET });
  } catch {
    return undefined;
  }
}

function valuesOf(text: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S*))(?:\s+#.*)?$/.exec(line);
    if (!match?.[1]) throw new Error(`not NAME=VALUE: ${JSON.stringify(line.slice(0, 80))}`);
    values[match[1]] = match[2] ?? match[3] ?? match[4] ?? '';
  }
  return values;
}

function readValues(values: Readonly<Record<string, string | undefined>>): SubnetFile {
  const result = fileSchema.safeParse(values);
  if (!result.success)
    throw new Error(result.error.issues.map((one) => `${one.path.join('.')}: ${one.message}`).join('; '));
  const { data } = result;
  if (!data.FLANNEL_SUBNET && !data.FLANNEL_IPV6_SUBNET) throw new Error('it names no subnet');
  return {
    networks: perFamily<Cidr>(data.FLANNEL_NETWORK, data.FLANNEL_IPV6_NETWORK),
    subnets: perFamily(data.FLANNEL_SUBNET, data.FLANNEL_IPV6_SUBNET),
    mtu: data.FLANNEL_MTU,
    ipMasq: data.FLANNEL_IPMASQ,
  };
}

/**
 * What the file says, or at least its subnets. Undefined when it is absent, or not parsable or readable (logged: it is only a
 * preference).
 */
export async function readSubnetFile(path: string, logger: Logger): Promise<SubnetFile | undefined> {
  let text: string | undefined;
  try {
    text = await readFile(path, 'utf8');
    return parseSubnetFile(text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const file = text === undefined ? undefined : subnetsOf(text);
    const use = file ? 'only the subnet in the subnet file is of use' : 'subnet file is of no use, starting without it';
    logger.warn(use, { path, error: errorMessage(error) });
    return file;
  }
}

/**
 * Writes the file, whole for whoever reads it. Equal text is not written; its time stamp is set to now, because that is how flannel's
 * users tell that this start has come to its end. Throws the file system's own errors.
 */
export async function writeSubnetFile(path: string, file: SubnetFile): Promise<void> {
  const text = formatSubnetFile(file);
  if ((await textOf(path)) === text) {
    const now = new Date();
    await utimes(path, now, now);
    return;
  }
  // flannel's name for it.
  await writeAtomically(path, text, `.${basename(path)}`);
}

function addressText({ ip, length }: { readonly ip: Ip; readonly length: number }): string {
  return `${formatIp(ip)}/${length}`;
}

function perFamily<T>(ipv4: T | undefined, ipv6: T | undefined): { readonly 4?: T; readonly 6?: T } {
  return { ...(ipv4 !== undefined && { 4: ipv4 }), ...(ipv6 !== undefined && { 6: ipv6 }) };
}
