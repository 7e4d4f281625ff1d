/** A cable between a client and a server that tests can cut, and plug in again. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  /** Where to connect instead of to the server. */
  readonly port: number;
  /** Connections made so far, refused ones included. */
  readonly connections: number;
  /** Ends all connections, and refuses new ones until `mend`. */
  cut(): void;
  /** Keeps connections and loses what is sent, as a machine that vanished does, until `mend`. */
  blackhole(): void;
  mend(): void;
  close(): Promise<void>;
}

export interface TcpProxyOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** Address of the server. Default 127.0.0.1. */
  readonly targetHost?: string;
}

/** Listens on a free port and passes on to the port given. */
export async function startTcpProxy(targetPort: number, options: TcpProxyOptions = {}): Promise<TcpProxy> {
  const { host = '127.0.0.1', targetHost = '127.0.0.1' } = options;
  let state: 'through' | 'cut' | 'blackhole' = 'through';
  let connections = 0;
  const sockets = new Set<Socket>();

  const server = createServer((client) => {
    connections += 1;
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const upstream = connect(targetPort, targetHost);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (data) => {
        if (state !== 'blackhole') to.write(data);
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));

  function dropAll(): void {
    for (const socket of sockets) socket.destroy();
  }

  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    cut() {
      state = 'cut';
      dropAll();
    },
    blackhole() {
      state = 'blackhole';
    },
    mend() {
      // What was lost stays lost: such a connection is of no use any more.
      if (state === 'blackhole') dropAll();
      state = 'through';
    },
    async close() {
      dropAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
