/** What EC2 tells about rules of security groups and LocalStack does not. */
import type { Ec2Answer } from './ec2-error.ts';
import type { Ec2Request } from './ec2-request.ts';
import { at, element, formatXml, items, parseXml, textAt } from './xml.ts';

/** Descriptions of rules that let another group in; LocalStack keeps those of ranges alone. */
export class GroupRules {
  /** By the rule's id. */
  readonly #descriptions = new Map<string, string>();

  /** Keeps the descriptions of rules that this request has just made. */
  learn({ parameters }: Ec2Request, answer: Ec2Answer): void {
    if (answer.status !== 200) return;
    // One permission for each group that is let in, in the order of the answer's rules.
    const descriptions = [...parameters].flatMap(([name, text]) =>
      /^IpPermissions\.\d+\.Groups\.\d+\.Description$/.test(name) ? [text] : [],
    );
    const rules = items(parseXml(answer.body), 'securityGroupRuleSet').filter(
      (rule) => at(rule, 'referencedGroupInfo') !== undefined,
    );
    if (descriptions.length !== rules.length) return;
    for (const [place, rule] of rules.entries()) {
      this.#descriptions.set(textAt(rule, 'securityGroupRuleId') ?? '', descriptions[place] ?? '');
    }
  }

  /** DescribeSecurityGroupRules' answer with them. */
  described(answer: Ec2Answer): Ec2Answer {
    if (answer.status !== 200) return answer;
    const root = parseXml(answer.body);
    for (const rule of items(root, 'securityGroupRuleSet')) {
      const description = this.#descriptions.get(textAt(rule, 'securityGroupRuleId') ?? '');
      if (description !== undefined) rule.children.push(element('description', description));
    }
    return { ...answer, body: formatXml(root) };
  }
}
