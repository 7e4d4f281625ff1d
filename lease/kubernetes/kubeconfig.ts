/** A kubeconfig file ("Organizing Cluster Access Using kubeconfig Files"): the current context's cluster and user. */

import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { promisify } from 'node:util';
import * as z from 'zod';
import { errorMessage, FlannelVpcError } from '../../src/core/errors.ts';
import { parseJson } from '../../src/core/json.ts';
import type { RequestAccess } from './request-access.ts';
import { parseYaml } from './yaml-text.ts';

const text = z
  .string()
  .max(1 << 20)
  .optional();

const clusterSchema = z.object({
  server: z.string(),
  ...{ 'certificate-authority': text, 'certificate-authority-data': text, 'tls-server-name': text },
  'insecure-skip-tls-verify': z.boolean().optional(),
  'proxy-url': text,
});
const execSchema = z.object({
  apiVersion: z.string(),
  command: z.string().min(1),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
});
const userSchema = z.object({
  ...{ token: text, tokenFile: text, username: text, password: text },
  ...{ 'client-certificate': text, 'client-certificate-data': text, 'client-key': text, 'client-key-data': text },
  exec: execSchema.optional(),
  'auth-provider': z.unknown().optional(),
});
const configSchema = z.object({
  'current-context': z.string().optional(),
  clusters: z.array(z.object({ name: z.string(), cluster: clusterSchema })).nullish(),
  contexts: z
    .array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string().default('') }) }))
    .nullish(),
  users: z.array(z.object({ name: z.string(), user: userSchema.nullish() })).nullish(),
});
const credentialSchema = z.object({
  status: z.object({
    ...{ token: text, clientCertificateData: text, clientKeyData: text },
    expirationTimestamp: z.string().optional(),
  }),
});

type User = z.output<typeof userSchema>;
type Cluster = z.output<typeof clusterSchema>;

/** Longest time for a credential plugin, milliseconds. */
const pluginMs = 30_000;
/** How long before its end a plugin's credential is asked for anew, milliseconds; and how long one without an end serves. */
const earlyMs = 60_000;
const run = promisify(execFile);

/** The server and what requests to it are made with. @throws CONFIG_INVALID naming the file and what is wrong with it. */
export async function readKubeconfig(file: string): Promise<{
  readonly server: string;
  readonly request: () => Promise<RequestAccess>;
  readonly forget: () => void;
}> {
  const { cluster, user } = await currentContext(file);
  for (const [name, value] of [
    ['proxy-url', cluster['proxy-url']],
    ['auth-provider', user['auth-provider']],
  ] as const) {
    if (value) throw wrong(file, `${name} is not supported`);
  }
  const base = dirname(file);
  const ca = await dataOrFile(cluster['certificate-authority-data'], cluster['certificate-authority'], base);
  const tls = {
    ca,
    servername: cluster['tls-server-name'],
    ...(cluster['insecure-skip-tls-verify'] ? { rejectUnauthorized: false } : {}),
  };
  const plugin = user.exec && createPlugin(user.exec, base);
  async function request(): Promise<RequestAccess> {
    const given = plugin ? await plugin.credential() : user;
    const token =
      given.token ?? (given.tokenFile ? (await readText(resolve(base, given.tokenFile))).trim() : undefined);
    const cert = await dataOrFile(given['client-certificate-data'], given['client-certificate'], base);
    const key = await dataOrFile(given['client-key-data'], given['client-key'], base);
    const basic =
      given.username === undefined
        ? undefined
        : Buffer.from(`${given.username}:${given.password ?? ''}`).toString('base64');
    const authorization = token ? `Bearer ${token}` : basic ? `Basic ${basic}` : undefined;
    return {
      headers: authorization === undefined ? {} : { authorization },
      tls: { ...tls, ...(cert && key ? { cert, key } : {}) },
    };
  }

  // A plugin is not run before it is needed, and files may come and go; what stands there now must be certificates and keys.
  try {
    // OpenSSL takes no certificate at all for a set of authorities.
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext(plugin ? { ca } : { ca, ...(await request()).tls });
  } catch (error) {
    if (error instanceof FlannelVpcError) throw error;
    throw wrong(file, `its certificates or keys can't be read: ${errorMessage(error)}`, error);
  }
  return { server: cluster.server, request, forget: () => plugin?.forget() };
}

async function currentContext(file: string): Promise<{ readonly cluster: Cluster; readonly user: User }> {
  let parsed: z.output<typeof configSchema>;
  try {
    parsed = configSchema.parse(await parseYaml(await readFile(file, 'utf8')));
  } catch (error) {
    const why =
      error instanceof z.ZodError
        ? `${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}`
        : errorMessage(error);
    throw wrong(file, why, error);
  }
  const name = parsed['current-context'];
  const context = parsed.contexts?.find((each) => each.name === name)?.context;
  if (!context) throw wrong(file, `its current-context ${JSON.stringify(name ?? '')} is not among its contexts`);
  const cluster = parsed.clusters?.find((each) => each.name === context.cluster)?.cluster;
  if (!cluster) throw wrong(file, `it has no cluster ${JSON.stringify(context.cluster)}`);
  const user = parsed.users?.find((each) => each.name === context.user)?.user;
  return { cluster, user: user ?? {} };
}

/** Runs the plugin when its last credential is about to end (`client.authentication.k8s.io`). */
function createPlugin(
  { apiVersion, command, args, env }: z.output<typeof execSchema>,
  base: string,
): { credential(): Promise<User>; forget(): void } {
  let known: { readonly user: User; readonly until: number } | undefined;
  let asking: Promise<User> | undefined;
  async function ask(): Promise<User> {
    const program = command.includes('/') ? resolve(base, command) : command;
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false } });
    const extra = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
    let status: z.output<typeof credentialSchema>['status'];
    try {
      const { stdout } = await run(program, args ?? [], {
        ...{ timeout: pluginMs, maxBuffer: 1 << 20 },
        env: { ...process.env, ...extra, KUBERNETES_EXEC_INFO: info },
      });
      status = credentialSchema.parse(parseJson(stdout)).status;
    } catch (error) {
      // What it printed may hold a secret.
      throw new FlannelVpcError(
        'STORE_UNAVAILABLE',
        `the credential plugin ${command} of the kubeconfig gave no credential`,
        {
          hint: 'Run it by hand and see what it says.',
          cause: error,
        },
      );
    }
    const base64 = (pem: string | undefined): string | undefined => pem && Buffer.from(pem).toString('base64');
    const user: User = {
      token: status.token,
      'client-certificate-data': base64(status.clientCertificateData),
      'client-key-data': base64(status.clientKeyData),
    };
    const end = Date.parse(status.expirationTimestamp ?? '');
    known = { user, until: Number.isFinite(end) ? end - earlyMs : Date.now() + earlyMs };
    return user;
  }

  return {
    async credential() {
      if (known && Date.now() < known.until) return known.user;
      // One for all: a call that gave up waiting is followed by others.
      asking ??= ask().finally(() => {
        asking = undefined;
      });
      return await asking;
    },
    forget() {
      known = undefined;
    },
  };
}

async function dataOrFile(
  data: string | undefined,
  file: string | undefined,
  base: string,
): Promise<string | undefined> {
  if (data) return Buffer.from(data, 'base64').toString('utf8');
  return file ? await readText(resolve(base, file)) : undefined;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new FlannelVpcError(
      'CONFIG_INVALID',
      `can't read ${path}, which the kubeconfig names: ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
}

function wrong(file: string, why: string, cause?: unknown): FlannelVpcError {
  return new FlannelVpcError('CONFIG_INVALID', `--kubeconfig-file: ${file} is not usable: ${why}`, {
    hint: 'kubectl --kubeconfig FILE get nodes shows whether it works.',
    cause,
  });
}
