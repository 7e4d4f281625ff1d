import { describe, expect, it } from '@jest/globals';
import { credentialsOf, parseEndpoints, readTls, unusedOptions } from '../../../lease/etcd/options.ts';

describe('parseEndpoints', () => {
  it.each([
    ['http://10.0.0.1:2379', 'http://10.0.0.1:2379', false],
    ['https://etcd.example:2379/', 'https://etcd.example:2379', true],
    ['10.0.0.1:4001', 'http://10.0.0.1:4001', false],
    ['http://etcd', 'http://etcd:2379', false],
    ['http://etcd:80', 'http://etcd:80', false],
    ['https://etcd:443/', 'https://etcd:443', true],
    ['http://[fd00::1]:2379', 'http://[fd00::1]:2379', false],
    [' http://10.0.0.1:2379 ', 'http://10.0.0.1:2379', false],
  ])('reads %j as %s', (text, url, secure) => {
    expect(parseEndpoints([text])).toEqual([{ url, secure }]);
  });

  it('passes over empty ones, and refuses none at all', () => {
    expect(parseEndpoints(['', 'http://a:1'])).toHaveLength(1);
    expect(() => parseEndpoints([''])).toThrow('etcd-endpoints: empty');
  });

  it.each(['ftp://10.0.0.1:2379', 'http://', 'http://a b', 'unix:///run/etcd.sock', 'http://a:99999'])(
    'refuses %j',
    (text) => {
      expect(() => parseEndpoints([text])).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    },
  );

  it('says which of several it refuses', () => {
    expect(() => parseEndpoints(['http://a:1', 'ftp://b:1', 'http://c:1'])).toThrow('etcd-endpoints: number 2 of 3');
  });

  it('refuses a password in an address without repeating it', () => {
    const refusal = (text: string): string => {
      try {
        parseEndpoints([text]);
        return 'taken';
      } catch (error) {
        return String(error);
      }
    };
    expect(refusal('http://me:hunter2@10.0.0.1:2379')).toMatch(/^(?!.*hunter2).*user or password/);
    expect(refusal('ftp://me:hunter2@10.0.0.1')).not.toContain('hunter2');
  });
});

describe('readTls', () => {
  const plain = parseEndpoints(['http://a:1']);
  const secure = parseEndpoints(['https://a:1']);

  it('makes nothing for plain endpoints, but finds a wrong path all the same', () => {
    expect(readTls({ endpoints: [] }, plain)).toBeUndefined();
    expect(() => readTls({ endpoints: [], caFile: '/nonexistent' }, plain)).toThrow("etcd-cafile: can't read");
  });

  it('uses the system’s authorities where none is given, and no client certificate', () => {
    const tls = readTls({ endpoints: [], caFile: '' }, secure);
    expect(tls?.rootCertificate.toString()).toContain('BEGIN CERTIFICATE');
    expect(tls?.certChain).toBeUndefined();
  });

  it.each([
    [{ caFile: '/nonexistent/ca.pem' }, "etcd-cafile: can't read"],
    [{ certFile: '/nonexistent/c', keyFile: '/nonexistent/k' }, "etcd-certfile: can't read"],
    [{ caFile: '/etc/passwd' }, 'is no PEM file'],
  ])('refuses %j', (files, text) => {
    expect(() => readTls({ endpoints: [], ...files }, secure)).toThrow(text);
  });
});

describe('half of a pair', () => {
  it.each([
    [{ certFile: '/x' }, 'etcd-certfile is not used without etcd-keyfile'],
    [{ keyFile: '/x', certFile: '' }, 'etcd-keyfile is not used without etcd-certfile'],
    [{ username: 'a', password: '' }, 'etcd-username is not used without etcd-password'],
    [{ username: '', password: 'hunter2' }, 'etcd-password is not used without etcd-username'],
  ])('of %j is not used, as in flannel, and named', (half, says) => {
    const options = { endpoints: [], ...half };
    expect(unusedOptions(options)).toEqual([says]);
    expect(readTls(options, parseEndpoints(['https://a:1']))?.certChain).toBeUndefined();
    expect(credentialsOf(options)).toBeUndefined();
  });

  it('is none where there is both, or neither', () => {
    const whole = { endpoints: [], username: 'a', password: 'b', certFile: '', keyFile: '' };
    expect(unusedOptions(whole)).toEqual([]);
    expect(credentialsOf(whole)).toEqual({ username: 'a', password: 'b' });
  });
});
