/** Names of resources: ARM's long ids and the short ones of our seam. Compared without regard to case, as ARM does. */

export interface ResourceId {
  readonly subscription: string;
  readonly group: string;
  /** Such as `Microsoft.Network`. */
  readonly namespace: string;
  /** Such as `routeTables`, `routes`. */
  readonly types: readonly string[];
  /** As many as `types`. */
  readonly names: readonly string[];
}

export function formatId({ subscription, group, namespace, types, names }: ResourceId): string {
  const pairs = types.map((type, index) => `${type}/${names[index] ?? ''}`).join('/');
  return `/subscriptions/${subscription}/resourceGroups/${group}/providers/${namespace}/${pairs}`;
}

/** `SUBSCRIPTION/GROUP/NAME[/NAME…]` in lower case, as the provider seam has them. */
export function shortId({ subscription, group, names }: Pick<ResourceId, 'subscription' | 'group' | 'names'>): string {
  return [subscription, group, ...names].join('/').toLowerCase();
}

/** The short form of a long id. */
export function shorten(id: string): string {
  const [, , subscription = '', , group = '', , , ...pairs] = id.split('/');
  return shortId({ subscription, group, names: pairs.filter((_, index) => index % 2 === 1) });
}

export function sameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** The same id as another part of Azure would write it: the group in capitals, and `resourcegroups` small. */
export function respelled(id: string): string {
  return id.replace(/\/resourceGroups\/([^/]+)/, (_, group: string) => `/resourcegroups/${group.toUpperCase()}`);
}

/** "Naming rules and restrictions for Azure resources", Microsoft.Network. */
export function isResourceName(name: string): boolean {
  return /^[A-Za-z0-9](?:[\w.-]{0,78}\w)?$/.test(name);
}
