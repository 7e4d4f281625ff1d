/** Pages, which LocalStack does not make. */
import { Ec2Refusal } from './ec2-error.ts';
import { at, element, items, type XmlElement } from './xml.ts';

/** Cuts the answer's set to the page that `MaxResults` and `NextToken` ask for. @throws Ec2Refusal on a size EC2 refuses. */
export function paged(
  root: XmlElement,
  setName: string,
  parameters: URLSearchParams,
  sizes: { readonly least: number; readonly most: number },
): XmlElement {
  const asked = parameters.get('MaxResults');
  const set = at(root, setName);
  if (asked === null || !set) return root;
  const size = Number(asked);
  if (!(size >= sizes.least && size <= sizes.most)) {
    const range = `a value between ${sizes.least} and ${sizes.most}`;
    throw new Ec2Refusal(
      'InvalidParameterValue',
      `Value ( ${asked} ) for parameter maxResults is invalid. Expecting ${range}.`,
    );
  }
  const start = Number(Buffer.from(parameters.get('NextToken') ?? '', 'base64url').toString() || '0');
  const all = items(root, setName);
  set.children = all.slice(start, start + size);
  if (start + size < all.length) {
    root.children.push(element('nextToken', Buffer.from(String(start + size)).toString('base64url')));
  }
  return root;
}
