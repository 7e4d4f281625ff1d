/** What never was an answer of EC2; its answers are tested over the wire. */
import { describe, expect, it } from '@jest/globals';
import { type CallContext, noCredentials, translateError } from '../../../providers/aws-vpc/errors.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';

const context: CallContext = {
  action: 'ec2:CreateRoute',
  doing: 'create the route 10.244.1.0/24 via eni-1 in rtb-1',
  details: { tableId: 'rtb-1' },
};
const patient = new AbortController().signal;

describe('translateError', () => {
  it.each([
    ['a reset connection', systemError('ECONNRESET', 'socket hang up'), 'way to the EC2 endpoint'],
    ['a name that does not resolve', systemError('ENOTFOUND', 'getaddrinfo ENOTFOUND ec2'), 'DNS'],
    ['a time-out of the SDK', named('TimeoutError', 'request took too long'), 'way to the EC2 endpoint'],
    ['an unknown issuer', systemError('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify'), 'NODE_EXTRA_CA_CERTS'],
    ['a certificate of another time', systemError('CERT_HAS_EXPIRED', 'certificate has expired'), 'clock'],
    ['a garbled answer', new SyntaxError('Unexpected end of XML'), 'way to the EC2 endpoint'],
  ])('takes %s as TRANSIENT, with advice', (_, error, advice) => {
    expect(translateError(error, context, patient)).toMatchObject({
      code: 'TRANSIENT',
      message: expect.stringMatching(/^EC2 could not create the route 10\.244\.1\.0\/24 via eni-1 in rtb-1: /),
      hint: expect.stringContaining(advice),
      cause: error,
      details: { action: 'ec2:CreateRoute', tableId: 'rtb-1' },
    });
  });

  it.each([
    ['InvalidRoute.NotFound', 'no route with destination-cidr-block 10.244.1.0/24 in route table rtb-1'],
    ['InvalidParameterValue', 'There is no route defined for ’10.244.1.0/24’ in the route table.'],
  ])('takes %s for a route to be replaced as CONFLICT, so that the table is read again', (name, message) => {
    const refusal = Object.assign(named(name, message), { $fault: 'client', $metadata: { httpStatusCode: 400 } });
    const replacing = { ...context, action: 'ec2:ReplaceRoute', doing: 'point the route 10.244.1.0/24 at eni-1' };

    expect(translateError(refusal, replacing, patient)).toMatchObject({ code: 'CONFLICT', details: { awsCode: name } });
  });

  it('names the variable that tells the Region', () => {
    expect(translateError(new Error('Region is missing'), context, patient)).toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('AWS_REGION'),
    });
  });

  it('leaves an error of ours as it is', () => {
    const ours = new FlannelVpcError('QUOTA_EXCEEDED', 'full');

    expect(translateError(ours, context, patient)).toBe(ours);
  });

  it('keeps an abort an abort, whatever it broke', () => {
    const giveUp = new AbortController();
    giveUp.abort();

    expect(translateError(systemError('ECONNRESET', 'aborted'), context, giveUp.signal)).toMatchObject({
      name: 'AbortError',
    });
  });

  it('makes an abort for any reason an AbortError', () => {
    const giveUp = new AbortController();
    giveUp.abort('lost the election');

    expect(translateError(new Error('whatever'), context, giveUp.signal)).toMatchObject({
      name: 'AbortError',
      message: expect.stringContaining('lost the election'),
    });
  });

  it('takes a deadline that passed as TRANSIENT', () => {
    const late = new AbortController();
    late.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));

    expect(translateError(new Error('whatever'), context, late.signal)).toMatchObject({
      code: 'TRANSIENT',
      message: expect.stringContaining('deadline'),
    });
  });

  it('asks for a role where no source has credentials', () => {
    expect(noCredentials(undefined, context, 'no role is attached')).toMatchObject({
      code: 'PERMISSION_DENIED',
      hint: expect.stringContaining('providers/aws-vpc/README.md'),
      details: { action: 'ec2:CreateRoute' },
    });
  });
});

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}
