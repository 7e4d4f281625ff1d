/** A node's metadata server: a process in the node's namespace, on the address that clouds use. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { InstanceMetadata, MetadataFaults } from '../clouds/aws/imds.ts';
import { metadataAddress } from './management.ts';
import type { Namespace } from './namespace.ts';

export interface NodeMetadata {
  setMetadata(metadata: InstanceMetadata): Promise<void>;
  setFaults(faults: MetadataFaults): Promise<void>;
  stop(): Promise<void>;
}

const program = fileURLToPath(new URL('../clouds/aws/imds-main.ts', import.meta.url));

/** Starts it and waits until it listens. Stop it before the namespace is removed. */
export async function startNodeMetadata(node: Namespace, metadata: InstanceMetadata): Promise<NodeMetadata> {
  const [nsenter = '', ...argv] = node.command([process.execPath, program, `${metadataAddress}:80`]);
  const child = spawn(nsenter, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

  async function order(text: object): Promise<void> {
    child.stdin.write(`${JSON.stringify(text)}\n`);
    const answer = await answers.next();
    if (answer.value !== 'ok') throw new Error(`the metadata server of ${node.name} ended`);
  }

  await order({ state: metadata });
  return {
    setMetadata: (changed) => order({ state: changed }),
    setFaults: (faults) => order({ faults }),
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
