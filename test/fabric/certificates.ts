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
  /** Default: two days from now on. */
  readonly valid?: { readonly from: Date; readonly until: Date };
}

export interface CertificateAuthority {
  readonly caFile: string;
  /** Makes a key and a certificate. */
  issue(request: CertificateRequest): Promise<CertificateFiles>;
  /** Takes certificates back: a PEM file, always the same one, with a list of all that were. Without any it is an empty list. */
  revoke(...revoked: readonly Pick<CertificateFiles, 'certFile'>[]): Promise<string>;
}

/** What `openssl ca` asks for: it alone gives certificates dates of our choice, and makes lists of those taken back. */
const caConfiguration = (folder: string): string => `
[ca]
default_ca = ours
[ours]
database = ${folder}/index.txt
new_certs_dir = ${folder}
certificate = ${folder}/ca.pem
private_key = ${folder}/ca-key.pem
rand_serial = yes
default_md = sha256
default_crl_days = 1
unique_subject = no
policy = any
[any]
commonName = supplied
organizationName = optional
`;

/** Makes the authority's key and certificate in `folder`, which may be absent. */
export async function createAuthority(folder: string): Promise<CertificateAuthority> {
  await mkdir(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  await run('openssl', [
    ...['req', '-x509', ...curve, '-keyout', at('ca-key.pem'), '-out', at('ca.pem')],
    ...['-days', '2', '-subj', '/CN=test authority'],
  ]);
  await writeFile(at('ca.cnf'), caConfiguration(folder));
  await writeFile(at('index.txt'), '');
  const ca = ['ca', '-batch', '-config', at('ca.cnf')];

  return {
    caFile: at('ca.pem'),
    async issue({ name, subject = `/CN=${name}`, hosts = [], usage, valid }) {
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
      const files = ['-in', at(`${name}.csr`), '-out', at(`${name}.pem`), '-extfile', at(`${name}.ext`)];
      await run(
        'openssl',
        valid
          ? [...ca, '-notext', ...files, '-startdate', dateOf(valid.from), '-enddate', dateOf(valid.until)]
          : [
              ...['x509', '-req', ...files, '-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-days', '2'],
              // Not openssl's file of numbers, which certificates that are issued side by side would fight over.
              ...['-set_serial', `0x${randomUUID().replaceAll('-', '')}`],
            ],
      );
      return { certFile: at(`${name}.pem`), keyFile: at(`${name}-key.pem`) };
    },
    async revoke(...revoked) {
      for (const { certFile } of revoked) await run('openssl', [...ca, '-revoke', certFile]);
      await run('openssl', [...ca, '-gencrl', '-out', at('revoked.pem')]);
      return at('revoked.pem');
    },
  };
}

/** `20260131235959Z`. */
function dateOf(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
}
