/** Azure’s answers, hostile, by the real SDK and the clients of metadata and tokens. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { answersEndWell } from '../../clouds/hostile/answers-end-well.ts';
import { createAzureHostileLab } from '../../clouds/hostile/azure-lab.ts';
import { tryNamed, whole } from '../../clouds/hostile/named-case.ts';

let lab: Awaited<ReturnType<typeof createAzureHostileLab>>;

beforeAll(async () => {
  lab = await createAzureHostileLab();
});
afterAll(() => lab?.stop());

const table = /^GET \/subscriptions\/.*\/routeTables\//i;
const packed = { 'content-encoding': 'gzip' };

describe('Azure’s answers that were found to do harm', () => {
  it('that are packed and break off don’t hold a call for ever', async () => {
    const { error } = await tryNamed(lab, {
      ...{ operation: 'tables', from: table },
      turn: ({ status, headers, body }) => ({
        ...{ kind: 'cut', status, headers: { ...headers, ...packed }, chunked: true },
        body: gzipSync(body).subarray(0, 40),
      }),
    });
    // It is the end of the connection that ends it, and no deadline.
    expect(error).toMatchObject({ code: 'TRANSIENT', message: expect.not.stringContaining('deadline') });
  });

  it('that unpack to a hundred times their size are not unpacked, right as they may be', async () => {
    const { error } = await tryNamed(lab, {
      ...{ operation: 'tables', from: table },
      turn: ({ status, headers, body }) => ({
        ...{ kind: 'whole', status, headers: { ...headers, ...packed } },
        body: gzipSync(Buffer.concat([Buffer.from(body), Buffer.alloc(80 << 20, ' ')]), { level: 1 }),
      }),
    });
    expect(error).toMatchObject({ code: 'TRANSIENT' });
  });

  it('that are packed are read', async () => {
    const { error, value } = await tryNamed(lab, {
      ...{ operation: 'tables', from: table },
      turn: ({ status, headers, body }) => ({
        ...{ kind: 'whole', status, headers: { ...headers, ...packed } },
        body: gzipSync(body),
      }),
    });
    expect(error).toBeUndefined();
    expect(value).toHaveLength(1);
  });

  it('that send a write elsewhere are no success', async () => {
    const { error } = await tryNamed(lab, {
      ...{ operation: 'prepare', from: /^PUT / },
      turn: ({ headers }, location) => ({ kind: 'whole', status: 307, headers: { ...headers, location }, body: '{}' }),
    });
    expect(error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('HTTP status 307') });
  });

  it('that show nothing of what was written are no success', async () => {
    const { error } = await tryNamed(lab, { operation: 'prepare', from: /^PUT /, turn: whole('') });
    expect(error).toMatchObject({ code: 'TRANSIENT', message: expect.stringContaining('not as Azure’s are') });
  });

  it('with hundreds of thousands of entries are read to their end', async () => {
    const { error, value } = await tryNamed(lab, {
      ...{ operation: 'resolve many', from: /\/networkInterfaces\?/i },
      turn: whole(`{"value":[${'0,'.repeat(400_000)}0]}`),
    });
    expect(error).toBeUndefined();
    expect(value).toContainEqual({ kind: 'unresolved', reason: expect.stringContaining('no machine') });
  });
});

answersEndWell('Azure', () => lab);
