/** Where Compute Engine's API is, and that nothing secret goes there in clear. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { isOwnHost } from '../own-hosts.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Endpoint {
  readonly apiEndpoint: string;
  readonly port: number;
  readonly protocol: 'http' | 'https';
}

/** `FLANNEL_VPC_GCE_ENDPOINT`; undefined for Google's own. @throws CONFIG_INVALID. */
export function endpointOf(environment: Environment): Endpoint | undefined {
  const text = environment['FLANNEL_VPC_GCE_ENDPOINT'];
  if (!text) return undefined;
  const url = URL.parse(text);
  const protocol = url?.protocol.slice(0, -1);
  if (
    !url ||
    (protocol !== 'http' && protocol !== 'https') ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.username !== ''
  ) {
    throw new FlannelVpcError('CONFIG_INVALID', 'FLANNEL_VPC_GCE_ENDPOINT is no base URL', {
      hint: 'give a URL without a path, such as https://compute.example.com or http://127.0.0.1:8080',
    });
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (protocol === 'http' && !isOwnHost(url.hostname)) {
    throw new FlannelVpcError('CONFIG_INVALID', `FLANNEL_VPC_GCE_ENDPOINT is plain http to ${host}`, {
      hint: 'use https: access tokens would travel in clear. Plain http is taken for loopback, private and link-local addresses only',
    });
  }
  return { apiEndpoint: url.hostname, port: Number(url.port || (protocol === 'http' ? 80 : 443)), protocol };
}
