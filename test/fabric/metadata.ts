/** A node's metadata server: a process in the node's namespace, on the address that its cloud uses. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { CloudMetadata } from '../clouds/cloud-world.ts';
import type { Namespace } from './namespace.ts';

export interface NodeMetadata {
  /** What it knows of the instance, in the cloud's own shape. */
  setState(state: object): Promise<void>;
  /** How it misbehaves, in the cloud's own words. */
  setFaults(faults: object): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it and waits until it listens. Stop it before the namespace is removed. */
export async function startNodeMetadata(node: Namespace, metadata: CloudMetadata): Promise<NodeMetadata> {
  const hosts = metadata.addresses.map((text) => text.replace(/:\d+$/, ''));
  await node.ip(...hosts.map((host) => `addr replace ${host}/32 dev lo`));
  const [nsenter = '', ...argv] = node.command([process.execPath, metadata.program, ...metadata.addresses]);
  const child = spawn(nsenter, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

  async function order(text: object): Promise<void> {
    child.stdin.write(`${JSON.stringify(text)}\n`);
    const answer = await answers.next();
    if (answer.value !== 'ok') throw new Error(`the metadata server of ${node.name} ended`);
  }

  await order({ state: metadata.state });
  return {
    setState: (state) => order({ state }),
    setFaults: (faults) => order({ faults }),
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
