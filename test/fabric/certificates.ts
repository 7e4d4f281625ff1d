/** A certificate authority of the test's own, made with openssl in a folder. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateRequest {
  /** Also the name of the files. */
  readonly name: string;
  /** As openssl takes it, such as `/O=system:masters/CN=admin`; default `/CN=<name>`. */
  readonly subject?: string;
  /** Names and addresses of a server. */
  readonly hosts?: readonly string[];
  readonly usage: readonly ('serverAuth' | 'clientAuth')[];
}

export interface CertificateAuthority {
  readonly caFile: string;
  /** Makes a key and a certificate that is valid for two days. */
  issue(request: CertificateRequest): Promise<CertificateFiles>;
}

/** Makes the authority's key and certificate in `folder`, which may be absent. */
export async function createAuthority(folder: string): Promise<CertificateAuthority> {
  await mkdir(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  await run('openssl', [
    ...['req', '-x509', ...curve, '-keyout', at('ca-key.pem'), '-out', at('ca.pem')],
    ...['-days', '2', '-subj', '/CN=test authority'],
  ]);
  return {
    caFile: at('ca.pem'),
    async issue({ name, subject = `/CN=${name}`, hosts = [], usage }) {
      const names = hosts.map((host) => (isIP(host) === 0 ? `DNS:${host}` : `IP:${host}`));
      await writeFile(
        at(`${name}.ext`),
        [
          ...(names.length > 0 ? [`subjectAltName=${names.join(',')}`] : []),
          `extendedKeyUsage=${usage.join(',')}`,
          '',
        ].join('\n'),
      );
      const request = ['-keyout', at(`${name}-key.pem`), '-out', at(`${name}.csr`), '-subj', subject];
      await run('openssl', ['req', ...curve, ...request]);
      await run('openssl', [
        ...['x509', '-req', '-in', at(`${name}.csr`), '-CA', at('ca.pem'), '-CAkey', at('ca-key.pem')],
        // Not openssl's file of numbers, which certificates that are issued side by side would fight over.
        ...['-set_serial', `0x${randomUUID().replaceAll('-', '')}`],
        ...['-out', at(`${name}.pem`), '-days', '2', '-extfile', at(`${name}.ext`)],
      ]);
      return { certFile: at(`${name}.pem`), keyFile: at(`${name}-key.pem`) };
    },
  };
}
