/** A change of links and routes that is told to end. */
import { expect, it } from '@jest/globals';
import type { Run } from '../../../host/exec.ts';
import { runBatch } from '../../../host/ip-json.ts';

const commands = ['link add name cni0 type bridge', 'link set dev cni0 alias flannel-vpc'];

it('goes to its end once it has begun, and does not begin after that', async () => {
  const stop = new AbortController();
  const inputs: unknown[] = [];
  const run: Run = async (_, { input, signal }) => {
    stop.abort();
    signal.throwIfAborted();
    inputs.push(input);
    return { exitCode: 0, stdout: '', stderr: '' };
  };
  await runBatch(run, commands, stop.signal);
  expect(inputs).toEqual([`${commands.join('\n')}\n`]);
  await expect(runBatch(run, commands, stop.signal)).rejects.toMatchObject({ name: 'AbortError' });
  expect(inputs).toHaveLength(1);
});
