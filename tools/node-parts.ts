/** What Node.js is made of, by its own account in `process.versions`. */

/** Numbers of interfaces, not software. */
const interfaces = ['node', 'modules', 'napi'];

/** Published on npm under the same name. */
const onNpm = ['acorn', 'amaro', 'undici'];

/** Names under which the software is known, where Node's differs. */
const knownAs: Readonly<Record<string, string>> = { ares: 'c-ares', tz: 'tzdata', uv: 'libuv' };

const data = ['cldr', 'tz', 'unicode'];

export interface NodePart {
  readonly type: 'library' | 'data';
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  /** For scanners that look vulnerabilities up by it. */
  readonly cpe?: string;
}

/** Sorted by name. A part that this Node was built without has an empty version, and is left out. */
export function nodeParts(versions: Readonly<Record<string, string | undefined>>): readonly NodePart[] {
  const parts: NodePart[] = [];
  for (const [key, version] of Object.entries(versions)) {
    if (version === undefined || version === '' || interfaces.includes(key)) continue;
    const name = knownAs[key] ?? key;
    parts.push({
      type: data.includes(key) ? 'data' : 'library',
      name,
      version,
      purl: `pkg:${onNpm.includes(key) ? 'npm' : 'generic'}/${name}@${version}`,
      ...(key === 'openssl' ? { cpe: `cpe:2.3:a:openssl:openssl:${version}:*:*:*:*:*:*:*` } : {}),
    });
  }
  return parts.sort((a, b) => (a.name < b.name ? -1 : 1));
}
