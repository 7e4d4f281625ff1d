/** Typed reading of parsed flags, and the options that several commands share. */
import { FlannelVpcError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { LogFormat, LogLevel } from '../logging.ts';
import type { ParsedFlags } from './parse-flags.ts';

export interface FlagReader {
  text(name: string): string;
  list(name: string): readonly string[];
  boolean(name: string): boolean;
  number(name: string): number;
}

/** The flag table decides the types, so a mismatch is a bug. */
export function readFlags({ values }: ParsedFlags): FlagReader {
  const mismatch = (name: string): never => {
    throw new FlannelVpcError('INTERNAL', `flag ${name} has another type`);
  };
  return {
    text(name) {
      const value = values.get(name);
      return typeof value === 'string' ? value : mismatch(name);
    },
    list(name) {
      const value = values.get(name);
      return Array.isArray(value) ? value : mismatch(name);
    },
    boolean(name) {
      const value = values.get(name);
      return typeof value === 'boolean' ? value : mismatch(name);
    },
    number(name) {
      const value = values.get(name);
      return typeof value === 'number' ? value : mismatch(name);
    },
  };
}

export interface EtcdOptions {
  readonly endpoints: readonly string[];
  readonly prefix: string;
  readonly keyFile: string;
  readonly certFile: string;
  readonly caFile: string;
  readonly username: string;
  readonly password: Secret;
}

/** What `etcdFlags` say. */
export function etcdOptions(get: FlagReader): EtcdOptions {
  return {
    endpoints: get.list('etcd-endpoints'),
    prefix: get.text('etcd-prefix'),
    keyFile: get.text('etcd-keyfile'),
    certFile: get.text('etcd-certfile'),
    caFile: get.text('etcd-cafile'),
    username: get.text('etcd-username'),
    password: new Secret(get.text('etcd-password')),
  };
}

export interface LogOptions {
  readonly format: LogFormat;
  readonly level: LogLevel;
}

/** What `logFlags` say. */
export function logOptions(get: FlagReader): LogOptions {
  return { format: get.text('log-format') as LogFormat, level: get.text('log-level') as LogLevel };
}
