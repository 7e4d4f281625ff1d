/** What Docker is told of this node's subnet, as flannel's mk-docker-opts.sh has it (its `dist/` folder). Pure. */
import * as z from 'zod';
import { FlannelVpcError } from '../core/errors.ts';
import { parseInterfaceAddress } from '../core/ip.ts';
import type { DockerOptsOptions } from './options.ts';

/**
 * The three variables that matter here. Docker's bridge takes IPv4 only from them; they end up in a file that systemd and shells
 * read, so nothing but what they must be is let through.
 */
const subnetFile = z.object({
  FLANNEL_SUBNET: z
    .string()
    .refine((text) => parseInterfaceAddress(text)?.ip.family === 4, { error: 'an IPv4 address with a length' })
    .optional(),
  FLANNEL_MTU: z
    .string()
    .regex(/^\d{1,6}$/, { error: 'a number' })
    .optional(),
  FLANNEL_IPMASQ: z.string().optional(),
});

/** Docker's options for this node. */
export interface DockerOptions {
  readonly bip: string | undefined;
  /** The opposite of flannel's: where flannel masquerades, Docker must not. */
  readonly ipMasq: boolean | undefined;
  readonly mtu: string | undefined;
}

/**
 * Reads the text of subnet.env; undefined means that there is none.
 * @throws CONFIG_INVALID naming the variable, its value and what is allowed.
 */
export function readDockerOptions(text: string | undefined): DockerOptions {
  const values = Object.fromEntries((text ?? '').split('\n').flatMap(assignment));
  const parsed = subnetFile.safeParse(values);
  const issue = parsed.error?.issues[0];
  if (issue || !parsed.data) {
    const name = String(issue?.path[0]);
    const value = JSON.stringify(String(values[name]).slice(0, 100));
    throw new FlannelVpcError('CONFIG_INVALID', `Invalid value of ${name}: ${value}`, {
      hint: `It must be ${issue?.message}. The agent writes the file; start it again if somebody changed it.`,
    });
  }
  const { FLANNEL_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ } = parsed.data;
  if (FLANNEL_IPMASQ !== undefined && FLANNEL_IPMASQ !== 'true' && FLANNEL_IPMASQ !== 'false') {
    throw new FlannelVpcError('CONFIG_INVALID', `Invalid value of FLANNEL_IPMASQ: ${FLANNEL_IPMASQ.slice(0, 100)}`, {
      hint: 'It must be true or false. The agent writes the file; start it again if somebody changed it.',
    });
  }
  return {
    bip: FLANNEL_SUBNET,
    ipMasq: FLANNEL_IPMASQ === undefined ? undefined : FLANNEL_IPMASQ === 'false',
    mtu: FLANNEL_MTU,
  };
}

/** The file's text. `before`: what the variable `-k` names has in the environment, kept in front. */
export function dockerOptionsText(
  { bip, ipMasq, mtu }: DockerOptions,
  { individual, combined, key, withoutMasquerade }: DockerOptsOptions,
  before: string | undefined,
): string {
  const options = [
    bip === undefined ? undefined : (['BIP', `--bip=${bip}`] as const),
    ipMasq === undefined || withoutMasquerade ? undefined : (['IPMASQ', `--ip-masq=${ipMasq}`] as const),
    mtu === undefined ? undefined : (['MTU', `--mtu=${mtu}`] as const),
  ].filter((option) => option !== undefined);
  const all = options.map(([, option]) => ` ${option}`).join('');
  const kept = before ? `${before} ` : '';
  return [
    ...(individual ? options.map(([name, option]) => `DOCKER_OPT_${name}="${option}"`) : []),
    ...(combined ? [`${key}="${kept}${all}"`] : []),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function assignment(line: string): readonly (readonly [string, string])[] {
  const [, name, value] = /^\s*(?:export\s+)?([A-Z_0-9]+)=(.*?)\s*$/.exec(line) ?? [];
  if (name === undefined || value === undefined) return [];
  return [[name, /^(["']).*\1$/.test(value) ? value.slice(1, -1) : value]];
}
