/** Counts tries to connect to a server of the rig, whether or not anybody listens: what programs cost while their server is away. */
import { run } from './process.ts';
import { assertInRig } from './rig.ts';

export interface ConnectionCount {
  /** Tries so far: first packets of TCP connections, each sent again counted again. */
  read(): Promise<number>;
  remove(): Promise<void>;
}

/** Begins to count what comes to a port of the rig's own addresses, from nodes and from programs of the rig. */
export async function countConnections(port: number): Promise<ConnectionCount> {
  assertInRig();
  const table = `connections_${port}`;
  const rules = [
    `table inet ${table} {`,
    ' counter tries { }',
    ' chain input {',
    '  type filter hook input priority 0;',
    `  tcp dport ${port} tcp flags & (syn | ack) == syn counter name "tries"`,
    ' }',
    '}',
  ];
  await run(['nft', '-f', '-'], { input: `${rules.join('\n')}\n` });
  return {
    async read() {
      const listed = await run(['nft', 'list', 'counter', 'inet', table, 'tries']);
      const { 1: packets } = /packets (\d+)/.exec(listed) ?? [];
      if (packets === undefined) throw new Error(`no count in ${listed}`);
      return Number(packets);
    },
    remove: async () => void (await run(['nft', 'delete', 'table', 'inet', table])),
  };
}
