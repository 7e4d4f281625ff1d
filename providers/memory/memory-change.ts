import type { RouteChange } from '../provider.ts';

/** What a provider of the cloud made of memory has changed in it. */
export type MemoryChange =
  | { readonly kind: 'route'; readonly change: RouteChange }
  | { readonly kind: 'forwards'; readonly nicId: string };
