/** Holds what happened against what should have: both in one form, in which they are equal when all is well. */
import type { EtcdEntry, GoldenCase, NodeState, Outcome, State } from './case.ts';
import { chosenMacs, chosenSubnets } from './choices.ts';
import type { Observed } from './run-case.ts';

export interface Comparison {
  readonly expected: Comparable;
  readonly observed: Comparable;
}

interface Comparable {
  readonly steps: unknown;
  readonly says: unknown;
  readonly states: unknown;
  /** Freely chosen subnets that were none of those to choose from. */
  readonly strangeChoices: readonly string[];
}

/**
 * The expectation filled with the addresses, folders and freely chosen subnets of this run, and what was observed. In etcd a
 * successor may have keys of its own under `<prefix>/flannel-vpc/`, write less often, and keep its etcd lease where flannel
 * takes a new one.
 */
export function compare(golden: GoldenCase, expectation: Outcome, run: Observed): Comparison {
  const choices = new Map([...chosenSubnets(golden.pool, run.states), ...chosenMacs(expectation.states, run.states)]);
  const words = [...choices.values()].flatMap((choice) => choice.words);
  const fill = (text: string): string =>
    words.reduce((filled, [word, value]) => filled.replaceAll(word, value), run.fill(text));
  const expected = fillAll(expectation, fill);
  const strange = [...choices].filter(([, { allowed }]) => !allowed).map(([name, { subnet }]) => `${name}: ${subnet}`);
  return {
    expected: { steps: expected.steps, says: expected.says, states: inOrder(expected.states), strangeChoices: [] },
    observed: {
      steps: run.steps,
      says: Object.fromEntries(
        Object.entries(expected.says).map(([name, texts]) => [name, said(texts, run.printed[name] ?? '')]),
      ),
      states: inOrder(allowLess(run.states, expected.states)),
      strangeChoices: strange,
    },
  };
}

/** Those texts that occur. Logs may be JSON, with quotes behind backslashes. */
function said(texts: readonly string[], printed: string): readonly string[] {
  const plain = printed.replaceAll('\\"', '"').replaceAll('\\\\', '\\');
  return texts.filter((text) => printed.includes(text) || plain.includes(text));
}

function fillAll<T>(value: T, fill: (text: string) => string): T {
  return JSON.parse(JSON.stringify(value), (_, each: unknown) => (typeof each === 'string' ? fill(each) : each)) as T;
}

function allowLess(observed: Observed['states'], expected: Outcome['states']): Outcome['states'] {
  return Object.fromEntries(
    Object.entries(observed).map(([name, state]): [string, State] => {
      const should = expected[name]?.etcd;
      const etcd = should && state.etcd ? allowLessInEtcd(state.etcd, should) : undefined;
      return [name, { ...(etcd ? { etcd } : {}), ...(state.kube ? { kube: state.kube } : {}), nodes: state.nodes }];
    }),
  );
}

function allowLessInEtcd(observed: readonly EtcdEntry[], expected: readonly EtcdEntry[]): EtcdEntry[] {
  return observed
    .filter(({ key }) => !key.includes('/flannel-vpc/'))
    .map((entry) => {
      const should = expected.find(({ key }) => key === entry.key);
      if (!should) return entry;
      const version = entry.version < should.version ? should.version : entry.version;
      const lease = entry.lease && { ...entry.lease, full: entry.lease.full && (should.lease?.full ?? true) };
      return { ...entry, version, lease };
    });
}

/** Lists of links and routes have no order of their own. */
function inOrder(states: Outcome['states']): Outcome['states'] {
  return Object.fromEntries(
    Object.entries(states).map(([name, state]): [string, State] => {
      const nodes = Object.entries(state.nodes).map(([node, { net, ...rest }]): [string, NodeState] => {
        const sorted = Object.entries(net).map(([key, rows]) => [
          key,
          Array.isArray(rows) ? rows.toSorted(byText) : rows,
        ]);
        return [node, { ...rest, net: Object.fromEntries(sorted) }];
      });
      return [name, { ...state, nodes: Object.fromEntries(nodes) }];
    }),
  );
}

function byText(a: unknown, b: unknown): number {
  return canonical(a).localeCompare(canonical(b), 'en');
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => a.localeCompare(b, 'en')))
      : each,
  );
}
