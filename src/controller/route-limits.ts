/** How many routes a table takes, and who says so. */
import type { RouteTable } from '../../providers/provider.ts';
import type { LimitSource } from '../report/cluster-report.ts';

export interface RouteLimit {
  readonly limit: number;
  readonly source: LimitSource;
}

/** Milliseconds after which a refusal is put to the test again: an account's quota may have been raised. */
const forgetMs = 15 * 60_000;

export interface RouteLimitsOptions {
  /** `--route-limit`. */
  readonly configured: number | undefined;
  /** The provider's documented default. */
  readonly byDefault: number;
}

/** What is known of the tables' limits; learns from refusals. */
export class RouteLimits {
  readonly #options: RouteLimitsOptions;
  readonly #refusals = new Map<string, { readonly used: number; readonly at: number }>();

  constructor(options: RouteLimitsOptions) {
    this.#options = options;
  }

  /** The cloud refused one more route in a table that held so many of the route's family. */
  refused(tableId: string, used: number, monotonic: number): void {
    const before = this.#refusals.get(tableId);
    // Both families have the same quota; told of both at once, the larger one is what it is.
    const known = before?.at === monotonic ? before.used : 0;
    this.#refusals.set(tableId, { used: Math.max(used, known), at: monotonic });
  }

  of(table: Pick<RouteTable, 'id' | 'routeLimit'>, monotonic: number): RouteLimit {
    const refusal = this.#refusals.get(table.id);
    if (refusal && monotonic - refusal.at >= forgetMs) this.#refusals.delete(table.id);
    else if (refusal) return { limit: refusal.used, source: 'refusal' };
    const { configured, byDefault } = this.#options;
    if (table.routeLimit !== undefined) return { limit: table.routeLimit, source: 'api' };
    if (configured !== undefined) return { limit: configured, source: 'configured' };
    return { limit: byDefault, source: 'default' };
  }

  /**
   * The tables with the limits that plans must heed. A documented default is none of them: accounts have it raised, and the API tells
   * nobody; there the cloud's own refusal decides.
   */
  apply(tables: readonly RouteTable[], monotonic: number): readonly RouteTable[] {
    return tables.map((table) => {
      const { limit, source } = this.of(table, monotonic);
      return source === 'default' ? table : { ...table, routeLimit: limit };
    });
  }
}
