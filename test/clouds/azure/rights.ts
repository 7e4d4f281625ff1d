/** Who may do what: custom roles, as the provider's README gives them to operators. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Rights, Role } from '../cloud-world.ts';
import { refusals } from './errors.ts';

/** A custom role, as `az role definition create` takes it. */
const roleSchema = z.object({
  Name: z.string(),
  IsCustom: z.literal(true),
  Actions: z.array(z.string().regex(/^[\w./*-]+$/)),
  NotActions: z.array(z.string()).optional(),
  AssignableScopes: z.array(z.string()).min(1),
});

export type Actions = readonly string[];

const allActions: Actions = ['*'];

/** The actions of each role in the README's section "Least rights". */
export async function actionsOfReadme(): Promise<Readonly<Record<Role, Actions>>> {
  const readme = await readFile(new URL('../../../providers/azure-vnet/README.md', import.meta.url), 'utf8');
  const actionsOf = (heading: string): Actions => {
    const section = readme.split(`\n### ${heading}\n`)[1] ?? '';
    const [, text = ''] = /```json\n([^`]*)```/.exec(section) ?? [];
    return roleSchema.parse(JSON.parse(text)).Actions;
  };
  return { node: actionsOf('node'), controller: actionsOf('controller'), reader: actionsOf('read') };
}

export class RightsBook {
  readonly #readme: Readonly<Record<Role, Actions>>;
  readonly #actions = new Map<Role, Actions>();

  constructor(readme: Readonly<Record<Role, Actions>>) {
    this.#readme = readme;
  }

  /** @throws Error it is to lack a right that the README does not list */
  set(role: Role, rights: Rights): void {
    if (rights === 'all') {
      this.setActions(role, allActions);
      return;
    }
    const listed = this.readme(role);
    if (rights === 'readme') {
      this.setActions(role, listed);
      return;
    }
    const { readmeWithout } = rights;
    if (!listed.includes(readmeWithout)) throw new Error(`${readmeWithout} is no right of a ${role}`);
    this.setActions(
      role,
      listed.filter((action) => action !== readmeWithout),
    );
  }

  /** What the README lists for the role. */
  readme(role: Role): Actions {
    return this.#readme[role];
  }

  setActions(role: Role, actions: Actions): void {
    this.#actions.set(role, actions);
  }

  /** What the caller may do, as `Microsoft.Authorization/permissions` lists it. */
  actionsOf(caller: string): Actions {
    const [role = ''] = caller.split('/');
    return role === 'test' ? allActions : (this.#actions.get(role as Role) ?? allActions);
  }

  /** @throws Refusal AuthorizationFailed */
  check(caller: string, action: string, scope: string): void {
    if (!this.#allows(caller, action)) throw refusals.denied(caller, action, scope);
  }

  /** @throws Refusal LinkedAuthorizationFailed */
  checkLinks(
    caller: string,
    action: string,
    scope: string,
    links: readonly { readonly action: string; readonly id: string }[],
  ): void {
    const missing = links.filter((link) => !this.#allows(caller, link.action));
    if (missing.length === 0) return;
    throw refusals.linkDenied(
      ...([caller, action, scope] as const),
      missing.map((link) => link.action),
      missing.map(({ id }) => id),
    );
  }

  #allows(caller: string, action: string): boolean {
    return this.actionsOf(caller).some((pattern) => {
      const expression = pattern.replace(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '.*');
      return new RegExp(`^${expression}$`, 'i').test(action);
    });
  }
}
