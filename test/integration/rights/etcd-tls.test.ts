/**
 * Certificates that are out of date, too early, for another host or taken back: each is refused by the side that must, and said in words
 * that name what to mend. Wrong authorities and missing certificates are in test/integration/lease/etcd-access.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createEtcdStores, type EtcdStoreOptions } from '../../../lease/etcd/stores.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import type { CertificateFiles, CertificateRequest } from '../../fabric/certificates.ts';
import { type EtcdServer, startEtcd } from '../../fabric/etcd.ts';
import { recordFigure, sizeOfRun } from '../../support/figures.ts';
import { never } from '../lease/fixtures.ts';

const prefix = '/coreos.com/network';
const day = 86_400_000;
const inDays = (days: number): Date => new Date(Date.now() + days * day);
const past = { from: inDays(-3), until: inDays(-1) };
const future = { from: inDays(1), until: inDays(3) };

let refused = 0;

async function read(options: Partial<EtcdStoreOptions>, etcd: EtcdServer): Promise<void> {
  const { caFile, clientCertFile, clientKeyFile } = etcd.certificates ?? missing();
  const files = { caFile, certFile: clientCertFile, keyFile: clientKeyFile };
  const stores = createEtcdStores({ endpoints: [etcd.endpoint], prefix, deadlineMs: 2_000, ...files, ...options });
  try {
    await stores.leases.readNetConf(never);
  } finally {
    await stores.close();
  }
}

function missing(): never {
  throw new Error('no certificates');
}

async function refusal(options: Partial<EtcdStoreOptions>, etcd: EtcdServer): Promise<FlannelVpcError> {
  const error = await read(options, etcd).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof FlannelVpcError)) throw new Error('it was let in');
  refused += 1;
  return error;
}

describe('a server is not trusted', () => {
  test.each<[string, Partial<Pick<CertificateRequest, 'hosts' | 'valid'>>, RegExp, RegExp]>([
    [
      'whose certificate has run out',
      { valid: past },
      /certificate has expired/,
      /set the clock.*renew the certificate/,
    ],
    ['whose certificate is not valid yet', { valid: future }, /not yet valid/, /set the clock/],
    ['whose certificate is another host’s', { hosts: ['10.9.9.9', 'etcd.internal'] }, /altnames/, /names this address/],
  ])('%s', async (_, server, message, hint) => {
    const etcd = await startEtcd({ tls: { clientAuth: false, server } });
    try {
      const error = await refusal({}, etcd);
      expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringMatching(message) });
      expect(error.hint).toMatch(hint);
    } finally {
      await etcd.stop();
    }
  });
});

describe('an etcd that asks for certificates', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd({ tls: { clientAuth: true, revocable: true } });
  });
  afterAll(async () => {
    await etcd?.stop();
  });

  const issue = async (request: Partial<CertificateRequest> & { name: string }): Promise<CertificateFiles> =>
    await (etcd.certificates ?? missing()).authority.issue({ usage: ['clientAuth'], ...request });
  const valid = { from: inDays(-1), until: inDays(1) };

  test('lets in a client whose certificate is as it should be', async () => {
    await read(await issue({ name: 'good', valid }), etcd);
  });

  test.each<[string, Partial<CertificateRequest>]>([
    ['has run out', { valid: past }],
    ['is not valid yet', { valid: future }],
    ['is for servers', { valid, usage: ['serverAuth'] }],
  ])('refuses a client whose certificate %s, and that is said', async (what, request) => {
    const files = await issue({ name: what.replaceAll(' ', '-'), ...request });
    const error = await refusal(files, etcd);
    expect(error).toMatchObject({ code: 'STORE_DENIED', hint: expect.stringContaining('--etcd-certfile') });
  });

  test('refuses a client whose certificate was taken back, and lets others in as before', async () => {
    const { authority } = etcd.certificates ?? missing();
    const [taken, kept] = [await issue({ name: 'taken', valid }), await issue({ name: 'kept', valid })];
    await read(taken, etcd);
    await authority.revoke(taken);
    // etcd closes the connection and says nothing to the client.
    const error = await refusal(taken, etcd);
    expect(error.hint).toMatch(/--etcd-certfile was revoked/);
    await read(kept, etcd);
  });
});

test('all of them were refused', async () => {
  expect(refused).toBe(7);
  await recordFigure({
    ...{ section: 'rights', what: 'etcd’s and clients’ certificates out of date, too early, for others, taken back' },
    ...{ load: `${refused} certificates`, size: sizeOfRun(), outcome: `${refused} refused, each with what to mend` },
  });
});
