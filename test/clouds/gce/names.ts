/** Names and links as Compute Engine has them ("Resource names", "API response links" of its reference). */

/** What every `selfLink` begins with. */
const linkBase = 'https://www.googleapis.com/compute/v1/';

/** Regex of a resource's name, in the words of the API's own refusals. */
export const namePattern = '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)';

export function isName(text: string): boolean {
  return new RegExp(`^${namePattern}$`).test(text);
}

/** `projects/p/global/routes/r` -> its full URL. */
export function linkTo(path: string): string {
  return `${linkBase}${path}`;
}

/**
 * What a field of a request refers to, as `projects/…`. It may be a full URL of either host or begin at `projects/`, or,
 * within its own project, at `global/`, `regions/` or `zones/`. Undefined for anything else.
 */
export function referredPath(reference: string, project: string): string | undefined {
  const path = reference.replace(/^https:\/\/(?:www|compute)\.googleapis\.com\/compute\/v1\//, '');
  if (/^(?:global|regions|zones)\//.test(path)) return `projects/${project}/${path}`;
  return /^projects\/[^/]+\/\S+$/.test(path) ? path : undefined;
}

/** Path of a network by `PROJECT/NETWORK`. */
export function networkPath(id: string): string {
  const [project = '', name = ''] = id.split('/');
  return `projects/${project}/global/networks/${name}`;
}

/** A 64-bit id as the API writes it: a decimal text, beyond what a double holds. The same for the same seed. */
export function idOf(seed: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(seed)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return String((hash >> 1n) | (1n << 62n));
}

/** RFC 3339 with an offset, as in `creationTimestamp`. */
export function timestamp(at: number): string {
  return new Date(at).toISOString().replace('Z', '+00:00');
}
