/** STS's one question that programs of the rig ask: who am I? Roles and their credentials are the proxy's, so LocalStack could not tell. */
import { randomUUID } from 'node:crypto';
import type { Ec2Answer } from './ec2-error.ts';
import type { Ec2Request } from './ec2-request.ts';
import { accountId } from './roles.ts';
import { escapeXml } from './xml.ts';

/** True for a request that is STS's and not EC2's. */
export function isForSts({ action }: Ec2Request): boolean {
  return action === 'GetCallerIdentity';
}

/** Everybody may ask who they are. `arn`: of whoever signed. */
export function callerIdentity(arn: string): Ec2Answer {
  const requestId = randomUUID();
  const fields = { Arn: arn, UserId: arn.split('/').at(-1) ?? arn, Account: accountId };
  const result = Object.entries(fields).map(([name, text]) => `<${name}>${escapeXml(text)}</${name}>`);
  return {
    status: 200,
    body: [
      '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">',
      `<GetCallerIdentityResult>${result.join('')}</GetCallerIdentityResult>`,
      `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></GetCallerIdentityResponse>`,
    ].join(''),
    headers: { 'x-amzn-requestid': requestId },
  };
}
