/** What it takes to reach an etcd: checked once, before anything is sent. */
import { readFileSync } from 'node:fs';
import { createSecureContext, getCACertificates } from 'node:tls';
import { errorMessage, FlannelVpcError } from '../../src/core/errors.ts';

export interface EtcdConnectionOptions {
  /** `http://host:port` or `https://host:port`, several of one cluster. A bare `host:port` is http, as for flannel. */
  readonly endpoints: readonly string[];
  /** Client certificate and its key (PEM files); one alone is not used, as in flannel. Empty text counts as not given, here and below. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /**
   * Authorities the server's certificate is checked against (PEM file); else the system's. Used with or without a client
   * certificate: flannel drops it silently when it is given alone.
   */
  readonly caFile?: string | undefined;
  /** A user and the password; one alone is not used, as by etcd's own client. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** What is given and not used, as lines for the log: half of a pair. flannel runs without it, and most likely a person meant it. */
export function unusedOptions(options: EtcdConnectionOptions): readonly string[] {
  const pairs = [
    ['etcd-certfile', options.certFile, 'etcd-keyfile', options.keyFile],
    ['etcd-username', options.username, 'etcd-password', options.password],
  ] as const;
  return pairs.flatMap(([first, one, second, other]) => {
    if (!one === !other) return [];
    return [one ? `${first} is not used without ${second}` : `${second} is not used without ${first}`];
  });
}

/** One endpoint, taken apart. */
export interface EtcdEndpoint {
  /** `http://127.0.0.1:2379`: what messages show. */
  readonly url: string;
  readonly secure: boolean;
}

/** TLS material in the form the gRPC library takes. */
export interface EtcdTls {
  readonly rootCertificate: Buffer;
  readonly privateKey?: Buffer;
  readonly certChain?: Buffer;
}

/** Parses the endpoints; throws CONFIG_INVALID naming the one that is wrong. */
export function parseEndpoints(endpoints: readonly string[]): readonly EtcdEndpoint[] {
  const given = endpoints.map((endpoint) => endpoint.trim()).filter((endpoint) => endpoint !== '');
  if (given.length === 0)
    throw new FlannelVpcError('CONFIG_INVALID', 'etcd-endpoints: empty, give at least one http(s)://host:port');
  return given.map((text, index) =>
    parseEndpoint(text, given.length > 1 ? `number ${index + 1} of ${given.length}` : 'the address'),
  );
}

function parseEndpoint(text: string, which: string): EtcdEndpoint {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    // The text may hold a password, or a part of one that has a comma in it, so it isn't repeated.
    throw new FlannelVpcError('CONFIG_INVALID', `etcd-endpoints: ${which} can't be read`, {
      hint: 'Each must be http://host:port or https://host:port, with commas between them.',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new FlannelVpcError('CONFIG_INVALID', `etcd-endpoints: ${url.host} has a user or password in its address`, {
      hint: 'Give them as --etcd-username and --etcd-password.',
    });
  }
  const secure = url.protocol === 'https:';
  return { url: `${url.protocol}//${url.hostname}:${url.port || writtenPort(text)}`, secure };
}

/** `URL` drops a port that is the scheme's default; written out it counts, and left out etcd's own is meant. */
function writtenPort(text: string): string {
  return /:(\d+)\/*$/.exec(text)?.[1] ?? '2379';
}

/**
 * Reads the TLS files. TLS 1.2 is the oldest version spoken: Node's default, and flannel's.
 *
 * @returns undefined when every endpoint is plain http (certificates are then not used, as in flannel).
 */
export function readTls(options: EtcdConnectionOptions, endpoints: readonly EtcdEndpoint[]): EtcdTls | undefined {
  const { certFile, keyFile } = options;
  // Files that are named are read even where no endpoint needs them, so that a wrong path shows at once.
  const authorities = options.caFile ? readPem('etcd-cafile', options.caFile) : undefined;
  const client =
    certFile && keyFile
      ? { certChain: readPem('etcd-certfile', certFile), privateKey: readPem('etcd-keyfile', keyFile) }
      : {};
  if (!endpoints.some((endpoint) => endpoint.secure)) return undefined;
  checkFit(authorities, client);
  return { rootCertificate: authorities ?? systemRoots(), ...client };
}

/**
 * The same for a connection made later: certificates that were renewed meanwhile are taken up without a restart. While they can't be used
 * (one of two files is written, say) the former ones stay.
 */
export function readTlsAgain(
  options: EtcdConnectionOptions,
  endpoints: readonly EtcdEndpoint[],
  former: EtcdTls | undefined,
): EtcdTls | undefined {
  if (!former || !(options.caFile || (options.certFile && options.keyFile))) return former;
  try {
    return readTls(options, endpoints);
  } catch {
    return former;
  }
}

/** The library would find it out at the first connection, in words of its own. */
function checkFit(ca: Buffer | undefined, { certChain, privateKey }: Omit<EtcdTls, 'rootCertificate'>): void {
  try {
    createSecureContext({
      ...(ca ? { ca } : {}),
      ...(certChain && privateKey ? { cert: certChain, key: privateKey } : {}),
    });
  } catch (error) {
    const files = certChain ? 'etcd-certfile and etcd-keyfile' : 'etcd-cafile';
    throw new FlannelVpcError('CONFIG_INVALID', `${files}: can't be used: ${errorMessage(error)}`, {
      hint: 'Give PEM files, and the key that belongs to the certificate.',
      cause: error,
    });
  }
}

function readPem(field: string, file: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new FlannelVpcError('CONFIG_INVALID', `${field}: can't read ${file}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  if (!content.includes('-----BEGIN ')) throw new FlannelVpcError('CONFIG_INVALID', `${field}: ${file} is no PEM file`);
  return content;
}

/** The system's authorities, as Go uses; Node's own list only where the system has none. */
function systemRoots(): Buffer {
  const system = getCACertificates('system');
  return Buffer.from((system.length > 0 ? system : getCACertificates('bundled')).join('\n'));
}

export interface EtcdCredentials {
  readonly username: string;
  readonly password: string;
}

/** User and password, where there are both. */
export function credentialsOf({ username, password }: EtcdConnectionOptions): EtcdCredentials | undefined {
  return username && password ? { username, password } : undefined;
}
