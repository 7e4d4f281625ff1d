/** Who may do what: everything, or what the provider's README lists for the role. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Rights, Role } from '../cloud-world.ts';
import { refusals } from './errors.ts';

const sections: Readonly<Record<Role, string>> = { node: 'node', controller: 'controller', reader: 'read' };

export type Lists = Readonly<Record<Role, readonly string[]>>;

/** The permissions that the README's section "Least rights" lists for each role. */
export async function listsOfReadme(): Promise<Lists> {
  const readme = await readFile(new URL('../../../providers/gce/README.md', import.meta.url), 'utf8');
  const listOf = (role: Role): readonly string[] => {
    const section = readme.split(`\n### ${sections[role]}\n`)[1] ?? '';
    const [, text = 'null'] = /```json\n(\[[^`]*)```/.exec(section) ?? [];
    return z.array(z.string().regex(/^compute\.[A-Za-z]+\.[A-Za-z]+$/)).parse(JSON.parse(text));
  };
  return { node: listOf('node'), controller: listOf('controller'), reader: listOf('reader') };
}

export class RightsBook {
  readonly #lists: Lists;
  readonly #granted = new Map<string, ReadonlySet<string>>();

  constructor(lists: Lists) {
    this.#lists = lists;
  }

  set(role: Role, rights: Rights): void {
    if (rights === 'all') this.#granted.delete(role);
    else {
      const without = rights === 'readme' ? undefined : rights.readmeWithout;
      this.#granted.set(role, new Set(this.#lists[role].filter((permission) => permission !== without)));
    }
  }

  listOf(role: Role): readonly string[] {
    return this.#lists[role];
  }

  /** Whether the caller, such as `node/i-1`, has the permission. */
  allows(caller: string, permission: string): boolean {
    return this.#granted.get(caller.split('/')[0] ?? '')?.has(permission) ?? true;
  }

  /** @throws Refusal naming the permission and the resource, as Google does. */
  check(caller: string, permission: string, path: string): void {
    if (!this.allows(caller, permission)) throw refusals.forbidden(permission, path);
  }
}
