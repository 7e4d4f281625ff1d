/** Answers of list methods around their items. */
import type { Call } from '../simulator/front.ts';
import type { GceOperation } from './api-operations.ts';
import { refusals } from './errors.ts';
import { listParameters, type Page, pageOf } from './lists.ts';
import { linkTo } from './names.ts';
import { parametersOf } from './schemas.ts';

/** Of one place. `path`: after `projects/PROJECT/`. */
export function listAnswer(
  kind: string,
  path: string,
  { request, operation }: Call<GceOperation>,
  paged: (parameters: Readonly<Record<string, string>>) => Page<object>,
): object {
  const { items, nextPageToken } = paged(parametersOf(request, listParameters));
  const whole = `projects/${operation.project}/${path}`;
  return {
    kind,
    id: whole,
    // The API leaves an empty list out.
    ...(items.length === 0 ? {} : { items }),
    ...(nextPageToken === undefined ? {} : { nextPageToken }),
    selfLink: linkTo(whole),
  };
}

/** Of all places in one: every place is there, those without a result on this page with a warning. */
export function aggregatedAnswer(
  kind: string,
  member: string,
  { request, operation }: Call<GceOperation>,
  places: readonly { readonly scope: string; readonly items: readonly object[] }[],
  pageSize: number,
): object {
  const parameters = parametersOf(request, [...listParameters, 'includeAllScopes', 'serviceProjectNumber']);
  if (parameters['serviceProjectNumber'] !== undefined) throw refusals.notModelled('serviceProjectNumber');
  const scopes = new Map(places.flatMap(({ scope, items }) => items.map((item) => [item, scope] as const)));
  const { items, nextPageToken } = pageOf([...scopes.keys()], parameters, pageSize);
  const path = `projects/${operation.project}/aggregated/${member}`;
  return {
    kind,
    id: path,
    items: Object.fromEntries(
      places.map(({ scope }) => {
        const here = items.filter((item) => scopes.get(item) === scope);
        return [scope, here.length > 0 ? { [member]: here } : { warning: nothingHere(scope) }];
      }),
    ),
    ...(nextPageToken === undefined ? {} : { nextPageToken }),
    selfLink: linkTo(path),
  };
}

function nothingHere(scope: string): object {
  return {
    code: 'NO_RESULTS_ON_PAGE',
    message: `There are no results for scope '${scope}' on this page.`,
    data: [{ key: 'scope', value: scope }],
  };
}
