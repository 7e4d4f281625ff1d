/** Where the APIs are. Pure. */
import { FlannelVpcError } from '../../src/core/errors.ts';
import { isOwnHost } from '../own-hosts.ts';
import type { EndpointType } from './config.ts';

/** Products whose APIs are asked, with the version that is spoken. */
export const apiVersions = { vpc: '2016-04-28', ecs: '2014-05-26' } as const;
export type Product = keyof typeof apiVersions;

/** Names another endpoint for all products, such as `https://vpc.example`. */
const endpointVariable = 'FLANNEL_VPC_ALIBABA_ENDPOINT';

export interface Endpoint {
  /** With a port where it is not the protocol's own. */
  readonly host: string;
  readonly protocol: 'HTTP' | 'HTTPS';
}

/**
 * The endpoint of a product: the configured one, else the region's public one or the one for machines without a way to the internet
 * ("Service endpoints" in the API references of VPC and ECS: `vpc.cn-hangzhou.aliyuncs.com`, `vpc-vpc.cn-hangzhou.aliyuncs.com`).
 *
 * @throws CONFIG_INVALID for a configured one that is no URL, or that would carry a session's token in clear over public ways.
 */
export function endpointOf(
  product: Product,
  region: string,
  type: EndpointType,
  environment: Readonly<Record<string, string | undefined>>,
): Endpoint {
  const configured = environment[endpointVariable];
  if (configured) return configuredEndpoint(endpointVariable, configured);
  return { host: `${product}${type === 'vpc' ? '-vpc' : ''}.${region}.aliyuncs.com`, protocol: 'HTTPS' };
}

/** The endpoint that a variable names. @throws CONFIG_INVALID as `endpointOf` does. */
export function configuredEndpoint(variable: string, text: string): Endpoint {
  const url = URL.parse(text);
  const protocol = url?.protocol === 'https:' ? 'HTTPS' : url?.protocol === 'http:' ? 'HTTP' : undefined;
  if (!url || !protocol || url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw new FlannelVpcError('CONFIG_INVALID', `${variable} is no URL of an endpoint`, {
      hint: 'give one such as https://vpc.cn-hangzhou.aliyuncs.com, without a path',
    });
  }
  if (protocol === 'HTTP' && !isOwnHost(url.hostname)) {
    throw new FlannelVpcError('CONFIG_INVALID', `${variable} asks for plain HTTP to ${url.hostname}`, {
      hint: 'use https: plain http, which shows session tokens to everybody on the way, is only for loopback, private and link-local addresses',
    });
  }
  return { host: url.host, protocol };
}
