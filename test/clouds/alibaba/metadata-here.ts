/**
 * Instances' metadata servers in this process. All have one address, which the SDK and the provider have built in, so that at one time
 * only one instance can be answered for: the one started or shown last.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { CloudProvider } from '../../../providers/provider.ts';
import { assertInRig } from '../../fabric/rig.ts';
import { type MetadataServer, startMetadataServer } from '../simulator/metadata-server.ts';
import { type EcsMetadata, ecsMetadata } from './metadata.ts';

/** The only address of ECS's metadata server. */
export const metadataAddress = '100.100.100.200';
const run = promisify(execFile);

export interface MetadataHere {
  /** Shared by all instances. */
  readonly server: MetadataServer<EcsMetadata>;
  /** From now on it answers for this instance. */
  show(state?: EcsMetadata): void;
  /** The last one to stop ends the server. */
  stop(): Promise<void>;
}

/** Puts the address on this namespace's loopback. */
export async function withMetadataAddress(): Promise<{ readonly address: string; release(): Promise<void> }> {
  assertInRig();
  await run('ip', ['address', 'replace', `${metadataAddress}/32`, 'dev', 'lo']);
  return {
    address: metadataAddress,
    release: async () => void (await run('ip', ['address', 'delete', `${metadataAddress}/32`, 'dev', 'lo'])),
  };
}

export class MetadataOfInstances {
  #server: Promise<MetadataServer<EcsMetadata>> | undefined;
  #users = 0;
  #address: Awaited<ReturnType<typeof withMetadataAddress>> | undefined;

  async start(state: EcsMetadata): Promise<MetadataHere> {
    this.#users += 1;
    this.#server ??= this.#listen(state);
    const server = await this.#server;
    server.setState(state);
    return {
      server,
      show: (shown = state) => server.setState(shown),
      stop: async () => {
        this.#users -= 1;
        if (this.#users > 0) return;
        this.#server = undefined;
        await server.stop();
        await this.#address?.release();
      },
    };
  }

  async #listen(state: EcsMetadata): Promise<MetadataServer<EcsMetadata>> {
    this.#address = await withMetadataAddress();
    return await startMetadataServer(ecsMetadata(), state, [`${metadataAddress}:80`]);
  }
}

let turn: Promise<unknown> = Promise.resolve();

/**
 * The provider as its instance has it: while it asks who it is, the metadata server answers for that instance. With it several
 * instances' providers can be used side by side in one process.
 */
export function onInstance(provider: CloudProvider, { show }: Pick<MetadataHere, 'show'>): CloudProvider {
  return new Proxy(provider, {
    get(target, name) {
      if (name === 'identify') {
        return async (signal: AbortSignal) => {
          const mine = turn.then(async () => {
            show();
            return await target.identify(signal);
          });
          turn = mine.catch(() => {});
          return await mine;
        };
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
