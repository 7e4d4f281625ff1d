/** Counts tries to connect to a server of the rig, whether or not anybody listens: what programs cost while their server is away. */
import { run } from './process.ts';
import { assertInRig } from './rig.ts';

/** First packets of TCP connections; one that is sent again counts again. */
export interface ConnectionTries {
  /** From nodes. */
  readonly nodes: number;
  /** From programs of the rig itself, such as controllers. */
  readonly rig: number;
}

export interface ConnectionCount {
  read(): Promise<ConnectionTries>;
  remove(): Promise<void>;
}

/** Begins to count what comes to a port of the rig's own addresses. */
export async function countConnections(port: number): Promise<ConnectionCount> {
  assertInRig();
  const table = `connections_${port}`;
  const first = `tcp dport ${port} tcp flags & (syn | ack) == syn`;
  const rules = [
    `table inet ${table} {`,
    ' counter nodes { }',
    ' counter rig { }',
    ' chain input {',
    '  type filter hook input priority 0;',
    `  iifname "lo" ${first} counter name "rig"`,
    `  iifname != "lo" ${first} counter name "nodes"`,
    ' }',
    '}',
  ];
  await run(['nft', '-f', '-'], { input: `${rules.join('\n')}\n` });
  return {
    async read() {
      const listed = await run(['nft', 'list', 'counters', 'table', 'inet', table]);
      const of = (name: string): number => {
        const packets = new RegExp(`counter ${name} {\\s+packets (\\d+)`).exec(listed)?.[1];
        if (packets === undefined) throw new Error(`no counter ${name} in ${listed}`);
        return Number(packets);
      };
      return { nodes: of('nodes'), rig: of('rig') };
    },
    remove: async () => void (await run(['nft', 'delete', 'table', 'inet', table])),
  };
}
