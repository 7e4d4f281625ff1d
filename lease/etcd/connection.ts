/** One gRPC connection to one endpoint, with etcd3's own ideas of retrying switched off. */
import { Etcd3, type IOptions } from 'etcd3';
import type { EtcdCredentials, EtcdEndpoint, EtcdTls } from './options.ts';

type FaultPolicy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

/** Calls through, once. etcd3's defaults would retry at once, and refuse for five seconds after three failures. */
const callThrough: FaultPolicy = {
  _altReturn: undefined as never,
  onSuccess: () => ({ dispose() {} }),
  onFailure: () => ({ dispose() {} }),
  execute: async (call) => call({ signal: new AbortController().signal }),
};

export interface EtcdTarget {
  readonly endpoint: EtcdEndpoint;
  readonly tls: EtcdTls | undefined;
  readonly auth: EtcdCredentials | undefined;
  /** Longest time a login may take, milliseconds. */
  readonly attemptMs: number;
}

/** Nothing is sent yet. */
export function connectEtcd({ endpoint, tls, auth, attemptMs }: EtcdTarget): Etcd3 {
  return new Etcd3({
    hosts: [endpoint.url],
    // Given for a plain endpoint as well, etcd3 would speak TLS to it.
    ...(endpoint.secure && tls ? { credentials: tls } : {}),
    ...(auth ? { auth: { ...auth, callOptions: () => ({ deadline: Date.now() + attemptMs }) } } : {}),
    faultHandling: { global: callThrough, host: () => callThrough },
    grpcOptions: {
      // Shows in etcd's own log.
      'grpc.primary_user_agent': 'flannel-vpc',
      // One connection for each client: a process that makes two means two.
      'grpc.use_local_subchannel_pool': 1,
      // The default of 4 MB holds some 15,000 leases.
      'grpc.max_receive_message_length': -1,
      // A machine that vanished is noticed within 40 s; etcd allows a ping each 5 s, and only while calls are open.
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 5_000,
      // etcd's own client takes no proxy from the environment either, and publishes no gRPC service configuration in DNS.
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
    },
  });
}
