/** Roles as LocalStack's IAM knows them, for machines whose roles somebody else made. */
import { type Policy, policySchema } from './iam-policy.ts';
import { iamService, Upstream } from './upstream.ts';
import { at, textAt, type XmlElement } from './xml.ts';

export interface Iam {
  /** Role of an instance profile, by the profile's ARN. @throws Error when it has none. */
  roleOfProfile(arn: string): Promise<string>;
  /** All that the role's own policies say, as one. @throws Error for a role with policies of other kinds. */
  policyOfRole(role: string): Promise<Policy>;
  /** Names of all roles and of all instance profiles in the account. */
  names(): Promise<{ readonly roles: readonly string[]; readonly profiles: readonly string[] }>;
  close(): void;
}

/** `url`: LocalStack's. */
export function iamOf(url: string): Iam {
  const upstream = new Upstream(url, iamService);

  /** What stands in the result of an action. IAM has one Region, and none in its name. */
  async function ask(action: string, fields: Readonly<Record<string, string>> = {}): Promise<XmlElement | undefined> {
    return at(await upstream.ask(action, fields, 'us-east-1'), `${action}Result`);
  }

  return {
    async roleOfProfile(arn) {
      const name = arn.split('/').at(-1) ?? '';
      const answer = await ask('GetInstanceProfile', { InstanceProfileName: name });
      const [role] = members(answer, 'InstanceProfile', 'Roles');
      const found = textAt(role, 'RoleName');
      if (found === undefined) throw new Error(`the instance profile ${arn} has no role`);
      return found;
    },
    async policyOfRole(role) {
      const attached = members(await ask('ListAttachedRolePolicies', { RoleName: role }), 'AttachedPolicies');
      if (attached.length > 0) throw new Error(`the role ${role} has managed policies, which are not read here`);
      const names = members(await ask('ListRolePolicies', { RoleName: role }), 'PolicyNames').map(({ text }) => text);
      const policies: Policy[] = [];
      for (const PolicyName of names) {
        const answer = await ask('GetRolePolicy', { RoleName: role, PolicyName });
        policies.push(policySchema.parse(JSON.parse(decodeURIComponent(textAt(answer, 'PolicyDocument') ?? ''))));
      }
      return { Version: '2012-10-17', Statement: policies.flatMap(({ Statement }) => Statement) };
    },
    async names() {
      const roles = members(await ask('ListRoles'), 'Roles');
      const profiles = members(await ask('ListInstanceProfiles'), 'InstanceProfiles');
      return {
        roles: roles.map((each) => textAt(each, 'RoleName') ?? ''),
        profiles: profiles.map((each) => textAt(each, 'InstanceProfileName') ?? ''),
      };
    },
    close: () => upstream.close(),
  };
}

function members(parent: XmlElement | undefined, ...path: readonly string[]): readonly XmlElement[] {
  return at(parent, ...path)?.children.filter(({ name }) => name === 'member') ?? [];
}
