import { describe, expect, test } from '@jest/globals';
import type { PeerEntries } from '../../../providers/host-backend.ts';
import { formatCidr } from '../../../src/core/ip.ts';
import { type Peer, PeerBook } from '../../../src/crossing/peer-book.ts';
import { cidr, ip } from '../../support/addresses.ts';

const macOf = (n: number): string => `02:00:00:00:00:0${n}`;

function entries(...peers: readonly (readonly [number, string])[]): PeerEntries {
  const device = 'flannel.1';
  return {
    routes: peers.map(([n]) => ({
      ...{ destination: cidr(`10.5.${n}.0/24`), gateway: ip(`10.5.${n}.0`), device, onLink: true },
    })),
    neighbours: peers.map(([n]) => ({ address: ip(`10.5.${n}.0`), mac: macOf(n), device })),
    forwarding: peers.map(([n, remote]) => ({ mac: macOf(n), device, remote: ip(remote) })),
  };
}

const two = entries([1, '192.168.0.1'], [2, '192.168.0.2']);
const dueOf = (peers: readonly Peer[]): readonly string[] => peers.map(({ destination }) => formatCidr(destination));
const routesOf = (book: PeerBook, of: PeerEntries): readonly string[] =>
  book.withdrawn(of).routes.map(({ destination }) => formatCidr(destination));

function bookOf(of: PeerEntries): PeerBook {
  const book = new PeerBook(() => 0.5);
  book.update(of, 0);
  return book;
}

function first(book: PeerBook, now: number): Peer {
  const [peer] = book.due(now, 1);
  if (!peer) throw new Error(`nobody is due at ${now}`);
  return peer;
}

describe('a peer', () => {
  test('stays on the overlay until it answered, and is then sent to by the cloud’s routes alone', () => {
    const book = bookOf(two);
    expect(routesOf(book, two)).toEqual(['10.5.1.0/24', '10.5.2.0/24']);
    expect(book.note(first(book, 0), true, 100)).toBe(true);
    expect(routesOf(book, two)).toEqual(['10.5.2.0/24']);
  });

  test('goes on being heard by the overlay when it is across', () => {
    const book = bookOf(two);
    book.note(first(book, 0), true, 100);
    const left = book.withdrawn(two);
    expect(left.neighbours).toBe(two.neighbours);
    expect(left.forwarding).toBe(two.forwarding);
  });

  test('is asked again a second after it got across, and goes back when two series in a row are not answered', () => {
    const one = entries([1, '192.168.0.1']);
    const book = bookOf(one);
    book.note(first(book, 0), true, 0);
    expect(book.due(999, 9)).toEqual([]);
    expect(book.note(first(book, 1_000), false, 1_000)).toBeUndefined();
    expect(routesOf(book, one)).toEqual([]);
    expect(book.note(first(book, 2_000), false, 2_000)).toBe(false);
    expect(routesOf(book, one)).toEqual(['10.5.1.0/24']);
  });

  test('that lost one series is across all the same once it answers the next', () => {
    const one = entries([1, '192.168.0.1']);
    const book = bookOf(one);
    book.note(first(book, 0), true, 0);
    book.note(first(book, 1_000), false, 1_000);
    book.note(first(book, 2_000), true, 2_000);
    expect(book.due(31_999, 9)).toEqual([]);
    expect(book.note(first(book, 32_000), false, 32_000)).toBeUndefined();
    expect(routesOf(book, one)).toEqual([]);
  });

  test('that does not answer is asked with growing pauses, a minute at most', () => {
    const book = bookOf(entries([1, '192.168.0.1']));
    const pauses: number[] = [];
    for (let now = 0, turn = 0; turn < 8; turn++) {
      book.note(first(book, now), false, now);
      const next = book.nextDue() ?? Number.NaN;
      pauses.push(next - now);
      now = next;
    }
    expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses);
    expect(pauses[0]).toBeLessThan(5_000);
    expect(pauses.at(-1)).toBeLessThanOrEqual(60_000);
  });

  test.each([
    ['another address', entries([1, '192.168.0.9'])],
    ['another device', { ...entries([1, '192.168.0.1']), neighbours: [{ ...two.neighbours[0], mac: macOf(7) }] }],
  ] as readonly (readonly [string, PeerEntries])[])(
    'with the same subnet and %s is a new one, on the overlay',
    (_, next) => {
      const book = bookOf(entries([1, '192.168.0.1']));
      book.note(first(book, 0), true, 0);
      book.update(next, 10);
      expect(routesOf(book, next)).toEqual(['10.5.1.0/24']);
      expect(dueOf(book.due(10, 9))).toEqual(['10.5.1.0/24']);
    },
  );

  test('that is gone is forgotten, and an answer that comes late changes nothing', () => {
    const book = bookOf(two);
    const peer = first(book, 0);
    book.update(entries([2, '192.168.0.2']), 10);
    expect(book.note(peer, true, 20)).toBeUndefined();
    expect(dueOf(book.all())).toEqual(['10.5.2.0/24']);
  });
});

test('peers get their turns a few at a time, and who had none before who had one', () => {
  const many = entries(...Array.from({ length: 9 }, (_, n) => [n, `192.168.0.${n + 1}`] as const));
  const book = bookOf(many);
  const turn = book.due(0, 4);
  expect(turn).toHaveLength(4);
  for (const peer of turn) book.note(peer, false, 0);
  expect(dueOf(book.due(0, 9))).toEqual(['10.5.4.0/24', '10.5.5.0/24', '10.5.6.0/24', '10.5.7.0/24', '10.5.8.0/24']);
});
