/** EC2's refusals as they look on the wire. */
import { randomUUID } from 'node:crypto';
import { escapeXml } from './xml.ts';

/** What the proxy answers with: a status and a body. */
export interface Ec2Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Thrown inside the proxy to answer with an EC2 error. */
export class Ec2Refusal extends Error {
  readonly code: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: string, message: string, status = 400, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'Ec2Refusal';
    this.code = code;
    this.status = status;
    this.headers = headers;
  }

  answer(): Ec2Answer {
    const requestId = randomUUID();
    const error = `<Error><Code>${escapeXml(this.code)}</Code><Message>${escapeXml(this.message)}</Message></Error>`;
    return {
      status: this.status,
      body: `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors>${error}</Errors><RequestID>${requestId}</RequestID></Response>`,
      headers: { ...this.headers, 'x-amzn-requestid': requestId },
    };
  }
}

export const refusals = {
  throttled: () => new Ec2Refusal('RequestLimitExceeded', 'Request limit exceeded.', 503),
  routeLimit: () => new Ec2Refusal('RouteLimitExceeded', 'The maximum number of routes has been reached.'),
  routeExists: (cidr: string) =>
    new Ec2Refusal('RouteAlreadyExists', `The route identified by ${cidr} already exists.`),
  noSuchRoute: (cidr: string, tableId: string) =>
    new Ec2Refusal('InvalidRoute.NotFound', `no route with destination-cidr-block ${cidr} in route table ${tableId}`),
  nothingToReplace: (cidr: string) =>
    new Ec2Refusal(
      'InvalidParameterValue',
      `There is no route defined for '${cidr}' in the route table. Use CreateRoute instead.`,
    ),
  insideVpc: (cidr: string) =>
    new Ec2Refusal(
      'InvalidParameterValue',
      `The destination CIDR block ${cidr} is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance.`,
    ),
  badCidr: (text: string) =>
    new Ec2Refusal(
      'InvalidParameterValue',
      `Value (${text}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.`,
    ),
  noSuchNic: (id: string) =>
    new Ec2Refusal('InvalidNetworkInterfaceID.NotFound', `The networkInterface ID '${id}' does not exist`),
  filterLimit: () =>
    new Ec2Refusal('FilterLimitExceeded', 'The maximum number of filter values specified on a single call is 200'),
  dryRun: () => new Ec2Refusal('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412),
  unknownKey: () => new Ec2Refusal('AuthFailure', 'AWS was not able to validate the provided access credentials', 401),
  expired: () => new Ec2Refusal('RequestExpired', 'Request has expired.'),
  internal: () => new Ec2Refusal('InternalError', 'An internal error has occurred', 500),
} as const satisfies Readonly<Record<string, (...parts: never[]) => Ec2Refusal>>;
