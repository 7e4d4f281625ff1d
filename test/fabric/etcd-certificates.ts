/** Certificates for a TLS etcd in tests: an authority of its own, a server's, a client's. */
import { type CertificateAuthority, type CertificateRequest, createAuthority } from './certificates.ts';

export interface EtcdCertificates {
  /** For clients other than the usual one. */
  readonly authority: CertificateAuthority;
  readonly caFile: string;
  readonly serverCertFile: string;
  readonly serverKeyFile: string;
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
}

/** Makes the files in `folder`; the server's certificate is for `host`, a name or an address, unless `serverRequest` has other hosts. */
export async function createEtcdCertificates(
  folder: string,
  host: string,
  serverRequest: Partial<Pick<CertificateRequest, 'hosts' | 'valid'>> = {},
): Promise<EtcdCertificates> {
  const authority = await createAuthority(folder);
  // etcd's own gateway is a client of the server, with the server's certificate: it needs both usages.
  const usage = ['serverAuth', 'clientAuth'] as const;
  const server = await authority.issue({ name: 'server', hosts: [host], usage, ...serverRequest });
  const client = await authority.issue({ name: 'client', usage: ['clientAuth'] });
  return {
    authority,
    caFile: authority.caFile,
    serverCertFile: server.certFile,
    serverKeyFile: server.keyFile,
    clientCertFile: client.certFile,
    clientKeyFile: client.keyFile,
  };
}
