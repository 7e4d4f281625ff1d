/** Certificates for a TLS etcd in tests: an authority of its own, a server's, a client's. */
import { createAuthority } from './certificates.ts';

export interface EtcdCertificates {
  readonly caFile: string;
  readonly serverCertFile: string;
  readonly serverKeyFile: string;
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
}

/** Makes the files in `folder`; the server's certificate is for `host`, a name or an address. */
export async function createEtcdCertificates(folder: string, host: string): Promise<EtcdCertificates> {
  const authority = await createAuthority(folder);
  // etcd's own gateway is a client of the server, with the server's certificate: it needs both usages.
  const server = await authority.issue({ name: 'server', hosts: [host], usage: ['serverAuth', 'clientAuth'] });
  const client = await authority.issue({ name: 'client', usage: ['clientAuth'] });
  return {
    caFile: authority.caFile,
    serverCertFile: server.certFile,
    serverKeyFile: server.keyFile,
    clientCertFile: client.certFile,
    clientKeyFile: client.keyFile,
  };
}
