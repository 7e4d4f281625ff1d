/** Metadata as a tree of text leaves, as EC2's and Alibaba's servers show it. */

/** The text of a leaf, or a folder's children a line each, those with children of their own marked by a slash; undefined for neither. */
export function lookUpLeaf(tree: ReadonlyMap<string, string>, path: string): string | undefined {
  const wanted = path.replace(/\/$/, '');
  const leaf = tree.get(wanted);
  if (leaf !== undefined) return leaf;
  const children = new Set<string>();
  for (const key of tree.keys()) {
    if (!key.startsWith(`${wanted}/`)) continue;
    const [name = '', ...deeper] = key.slice(wanted.length + 1).split('/');
    children.add(deeper.length > 0 ? `${name}/` : name);
  }
  return children.size > 0 ? [...children].join('\n') : undefined;
}
