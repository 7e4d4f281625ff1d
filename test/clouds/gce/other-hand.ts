/** A network's static routes as a test sees and changes them, behind the API. */
import { compareCidrs, formatCidr, formatIp, parseCidr } from '../../../src/core/ip.ts';
import { cidr, ip } from '../../support/addresses.ts';
import type { CloudInstance } from '../cloud-world.ts';
import { idOf } from './names.ts';
import { showRoute } from './route-view.ts';
import type { GceState, Route } from './state.ts';

export class OtherHand {
  readonly #state: GceState;
  /** Project of the instances. */
  readonly #project: string;
  #made = 0;

  constructor(state: GceState, project: string) {
    this.#state = state;
    this.#project = project;
  }

  /** Canonical `destination -> target id`, several of one destination joined by ` + `. */
  targets(network: string): Readonly<Record<string, string>> {
    const sorted = this.#routes(network).toSorted((a, b) => compareCidrs(a.destination, b.destination));
    const grouped = Map.groupBy(sorted, ({ destination }) => formatCidr(destination));
    return Object.fromEntries([...grouped].map(([text, some]) => [text, some.map(targetIdOf).sort().join(' + ')]));
  }

  /** All but routes of these destinations, as the API shows them but for what it computes at each read. */
  document(network: string, without: readonly string[]): string {
    const left = this.#routes(network).filter(({ destination }) => !without.includes(formatCidr(destination)));
    const shown = left.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((route) => showRoute(this.#state, route));
    return JSON.stringify(shown, (key, value) => (key === 'warnings' ? undefined : value), 2);
  }

  /** Beside what stands, with Google's default priority. */
  async put(network: string, destination: string, { id, address }: CloudInstance): Promise<void> {
    const [project = ''] = network.split('/');
    const name = `others-${++this.#made}`;
    this.#state.setRoute(`${project}/${name}`, {
      project,
      name,
      number: idOf(`${name} ${performance.now()}`),
      description: undefined,
      network,
      destination: cidr(destination),
      priority: 1000,
      tags: [],
      // Of another project an instance is known by its address alone.
      hop: project === this.#project ? { kind: 'instance', project, id } : { kind: 'address', address: ip(address) },
      createdAt: Date.now(),
    });
    await this.#state.listeners.tell({ kind: 'routes', tableId: network });
  }

  /** All of the destination. */
  async remove(network: string, destination: string): Promise<void> {
    const range = parseCidr(destination);
    const text = range ? formatCidr(range) : destination;
    for (const { project, name, destination: of } of this.#routes(network)) {
      if (formatCidr(of) === text) this.#state.setRoute(`${project}/${name}`, undefined);
    }
    await this.#state.listeners.tell({ kind: 'routes', tableId: network });
  }

  #routes(network: string): readonly Route[] {
    return [...this.#state.routes.current.values()].filter((route) => route.network === network);
  }
}

/** As a provider names targets. */
function targetIdOf({ hop }: Route): string {
  switch (hop.kind) {
    case 'instance':
      return hop.id;
    case 'address':
      return formatIp(hop.address);
    case 'gateway':
      return hop.name;
    case 'other':
      return Object.values(hop.members)[0]?.split('/').at(-1) ?? 'other';
  }
}
