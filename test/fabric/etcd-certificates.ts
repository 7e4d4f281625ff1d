/** Certificates for a TLS etcd in tests, made with openssl: an authority of its own, a server's, a client's. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface EtcdCertificates {
  readonly caFile: string;
  readonly serverCertFile: string;
  readonly serverKeyFile: string;
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
}

/** Makes the files in `folder`; the server's certificate is for `host`, a name or an address. */
export async function createEtcdCertificates(folder: string, host: string): Promise<EtcdCertificates> {
  await mkdir(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await run('openssl', [
    ...[
      'req',
      '-x509',
      ...curve,
      '-keyout',
      at('ca-key.pem'),
      '-out',
      at('ca.pem'),
      '-days',
      '2',
      '-subj',
      '/CN=test authority',
    ],
  ]);
  const issue = async (name: string, extensions: string): Promise<void> => {
    await writeFile(at(`${name}.ext`), extensions);
    await run('openssl', [
      'req',
      ...curve,
      '-keyout',
      at(`${name}-key.pem`),
      '-out',
      at(`${name}.csr`),
      '-subj',
      `/CN=${name}`,
    ]);
    await run('openssl', [
      ...['x509', '-req', '-in', at(`${name}.csr`), '-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-CAcreateserial'],
      ...['-out', at(`${name}.pem`), '-days', '2', '-extfile', at(`${name}.ext`)],
    ]);
  };
  // etcd's own gateway is a client of the server, with the server's certificate: it needs both usages.
  const name = isIP(host) === 0 ? `DNS:${host}` : `IP:${host}`;
  await issue('server', `subjectAltName=${name}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  await issue('client', 'extendedKeyUsage=clientAuth\n');
  return {
    caFile: at('ca.pem'),
    serverCertFile: at('server.pem'),
    serverKeyFile: at('server-key.pem'),
    clientCertFile: at('client.pem'),
    clientKeyFile: at('client-key.pem'),
  };
}
