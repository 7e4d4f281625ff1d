/** The plumbing that the simulated clouds share, with a cloud that knows one operation. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { ChangeListeners } from '../../clouds/simulator/change-listeners.ts';
import { type Front, startFront } from '../../clouds/simulator/front.ts';
import { History } from '../../clouds/simulator/history.ts';
import { startMetadataServer } from '../../clouds/simulator/metadata-server.ts';
import { Refusal } from '../../clouds/simulator/refusal.ts';
import { until } from '../../support/until.ts';

describe('the front of a simulated cloud', () => {
  let front: Front;
  let done: string[];
  beforeEach(async () => {
    done = [];
    front = await startFront({
      dialect: {
        operationOf: ({ url }) => {
          if (url.pathname !== '/do') throw new Refusal('Unknown', 'no such thing', { status: 404 });
          return { name: 'Do', changes: true };
        },
        callerOf: ({ headers }) => headers.authorization ?? 'nobody',
        refusal: (kind, _, waitMs) =>
          new Refusal(kind, `refused as ${kind}`, { status: 429, body: { waits: waitMs !== undefined } }),
        carryOut: async ({ request, half }) => {
          done.push(half ? `half of ${request.body}` : request.body);
          return { status: 200, body: { done: true } };
        },
      },
    });
  });
  afterEach(async () => await front.stop());

  const send = async (body = 'it', path = '/do') =>
    await fetch(`${front.url}${path}`, { method: 'POST', body, headers: { authorization: 'node/1' } });

  it('carries out what it knows, refuses the rest, and logs both', async () => {
    const answer = await send();
    expect([answer.status, await answer.json()]).toEqual([200, { done: true }]);
    expect((await send('x', '/else')).status).toBe(404);

    expect(front.traffic.log).toMatchObject([
      { operation: 'Do', caller: 'node/1', outcome: 'ok', changes: true },
      { operation: 'POST /else', outcome: 'Unknown' },
    ]);
  });

  it('spoils requests before or after they took effect, as often as told', async () => {
    front.traffic.inject({ operation: /^Do$/, effect: { kind: 'cut' } });
    front.traffic.inject({ when: 'after', effect: { kind: 'status', status: 502 } });
    front.traffic.inject({ effect: { kind: 'half' } });
    front.traffic.inject({ operation: /^Other$/, effect: { kind: 'cut' } });
    await expect(send('a')).rejects.toThrow();
    expect((await send('b')).status).toBe(502);
    expect((await send('c')).status).toBe(200);
    front.traffic.inject({ times: 2, effect: { kind: 'refuse', as: 'busy' } });
    expect([(await send('d')).status, (await send('e')).status, (await send('f')).status]).toEqual([429, 429, 200]);

    expect(done).toEqual(['b', 'half of c', 'f']);
    const outcomes = front.traffic.log.map(({ outcome }) => outcome);
    expect(outcomes).toEqual(['cut', '502', 'ok', 'busy', 'busy', 'ok']);
  });

  it('throttles by its bucket and lets pass again when that is gone', async () => {
    front.traffic.setThrottle({ burst: 1, perSecond: 0.001 });
    expect((await send()).status).toBe(200);
    const refused = await send();
    expect([refused.status, await refused.json()]).toEqual([429, { waits: true }]);
    front.traffic.setThrottle(undefined);
    expect((await send()).status).toBe(200);
  });

  it('holds requests before they take effect', async () => {
    const held = front.traffic.hold(/^Do$/);
    const answer = send();
    await held.arrived(1);
    expect(done).toEqual([]);
    held.release();
    expect((await answer).status).toBe(200);
  });

  it('refuses a body that is too long', async () => {
    expect((await send('x'.repeat((1 << 20) + 1))).status).toBe(413);
    expect(done).toEqual([]);
  });
});

describe('a history', () => {
  it('shows what was, and the present without a lag', async () => {
    const history = new History('a');
    history.set('b');
    expect([history.before(0), history.before(50_000)]).toEqual(['b', 'a']);
    await until('the past to pass', async () => history.before(20) === 'b');
  });
});

describe('listeners of changes', () => {
  it('are told one change after the other, each awaited', async () => {
    const seen: string[] = [];
    const listeners = new ChangeListeners();
    listeners.add(async (change) => {
      await new Promise((resolve) => setTimeout(resolve, change.kind === 'routes' ? 20 : 0));
      seen.push(change.kind);
    });
    await Promise.all([
      listeners.tell({ kind: 'routes', tableId: 't' }),
      listeners.tell({ kind: 'forwards', nicId: 'n', forwards: true }),
    ]);
    expect(seen).toEqual(['routes', 'forwards']);
  });
});

describe('a metadata server', () => {
  it('answers from its state, which can be changed, and misbehaves on demand', async () => {
    const kind = { schema: z.string(), answer: (state: string) => ({ status: 200, body: state }) };
    const server = await startMetadataServer(kind, 'one', ['127.0.0.1:0', '127.0.0.1:0']);
    try {
      const texts = await Promise.all(server.urls.map(async (url) => await (await fetch(`${url}/x?y=1`)).text()));
      expect(texts).toEqual(['one', 'one']);
      server.setState('two');
      const ask = async () => await fetch(String(server.urls[0]));
      expect(await (await ask()).text()).toBe('two');
      server.setFaults({ status: 503 });
      expect((await ask()).status).toBe(503);
      server.setFaults({ status: null });
      expect((await ask()).status).toBe(200);
      expect(server.requests).toContain('GET /x?y=1');
    } finally {
      await server.stop();
    }
  });
});
