/** The parts of the EC2 emulation that can be wrong by themselves. */
import { describe, expect, it } from '@jest/globals';
import { judgeAccess, policySchema } from '../../clouds/aws/iam-policy.ts';
import { at, formatXml, items, parseXml, textAt } from '../../clouds/aws/xml.ts';

describe('a policy', () => {
  const policy = policySchema.parse({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 'ec2:Describe*', Resource: '*' },
      { Effect: 'Allow', Action: ['ec2:CreateRoute'], Resource: 'arn:aws:ec2:eu-west-1:0:route-table/rtb-1' },
      {
        Effect: 'Allow',
        Action: 'ec2:ModifyNetworkInterfaceAttribute',
        Resource: 'arn:aws:ec2:*:0:network-interface/*',
        Condition: { ArnEquals: { 'ec2:Vpc': 'arn:aws:ec2:eu-west-1:0:vpc/vpc-1' } },
      },
      { Effect: 'Deny', Action: 'ec2:DescribeInstances', Resource: '*' },
    ],
  });
  const nic = 'arn:aws:ec2:eu-west-1:0:network-interface/eni-1';
  const vpc = (id: string) => ({ 'ec2:Vpc': `arn:aws:ec2:eu-west-1:0:vpc/${id}` });

  it.each([
    ['ec2:DescribeRouteTables', '*', {}, 'allowed'],
    ['ec2:DescribeInstances', '*', {}, 'explicitly denied'],
    ['ec2:CreateRoute', 'arn:aws:ec2:eu-west-1:0:route-table/rtb-1', {}, 'allowed'],
    ['ec2:CreateRoute', 'arn:aws:ec2:eu-west-1:0:route-table/rtb-12', {}, 'denied'],
    ['ec2:DeleteRoute', 'arn:aws:ec2:eu-west-1:0:route-table/rtb-1', {}, 'denied'],
    ['ec2:ModifyNetworkInterfaceAttribute', nic, vpc('vpc-1'), 'allowed'],
    ['ec2:ModifyNetworkInterfaceAttribute', nic, vpc('vpc-2'), 'denied'],
    ['ec2:ModifyNetworkInterfaceAttribute', nic, {}, 'denied'],
  ])('judges %s on %s with %j as %s', (action, resource, context, expected) => {
    expect(judgeAccess(policy, { action, resource, context })).toBe(expected);
  });

  it('with a condition nobody here knows is refused rather than passed', () => {
    const Statement = [
      { Effect: 'Allow', Action: '*', Resource: '*', Condition: { IpAddress: { 'aws:SourceIp': '::/0' } } },
    ];

    expect(policySchema.safeParse({ Version: '2012-10-17', Statement }).success).toBe(false);
  });
});

describe('XML of EC2’s kind', () => {
  const text =
    '<?xml version="1.0" encoding="utf-8"?>\n<R xmlns="http://ec2/"><set><item><id>a&amp;b &lt;c&gt;</id></item><item /></set><none/></R>';

  it('is read: items, text, empty elements', () => {
    const root = parseXml(text);

    expect(items(root, 'set')).toHaveLength(2);
    expect(textAt(items(root, 'set')[0], 'id')).toBe('a&b <c>');
    expect(at(root, 'none')?.children).toEqual([]);
    expect(textAt(root, 'set', 'no', 'such')).toBeUndefined();
  });

  it('means the same after it was written again', () => {
    expect(parseXml(formatXml(parseXml(text)))).toEqual(parseXml(text));
  });

  it.each(['<a><b></a>', '<a>', '', '</a>'])('is refused when it is broken: %j', (broken) => {
    expect(() => parseXml(broken)).toThrow(/XML/);
  });
});
