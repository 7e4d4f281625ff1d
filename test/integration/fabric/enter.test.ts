import { execFile } from 'node:child_process';
import { access, chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const run = promisify(execFile);
const enter = fileURLToPath(new URL('../../fabric/enter.sh', import.meta.url));

test('shows the command none of the links, processes and /run entries outside', async () => {
  const inside = await run(enter, ['sh', '-c', 'ls /sys/class/net; ls -d /proc/[0-9]* | wc -l; ls -d /run/netns']);

  const [link, processes, ...entries] = inside.stdout.trim().split('\n');
  expect(link).toBe('lo');
  expect(Number(processes)).toBeLessThan(6);
  expect(entries).toEqual(['/run/netns']);
});

test('gives the status of the command', async () => {
  await expect(run(enter, ['sh', '-c', 'exit 7'])).rejects.toMatchObject({ code: 7 });
});

test('ends what the command started with it', async () => {
  const seconds = String(900_000 + process.pid);

  await run(enter, ['sh', '-c', `sleep ${seconds} & sleep 0.2`]);

  expect(await commandLines()).not.toContain(seconds);
});

test('leaves none of the command’s temporary files behind', async () => {
  const { stdout } = await run(enter, ['sh', '-c', 'file=$(mktemp) && test -f "$file" && echo "$file"']);

  await expect(access(stdout.trim())).rejects.toMatchObject({ code: 'ENOENT' });
});

test('ends what the command started when it is killed itself', async () => {
  const seconds = String(800_000 + process.pid);

  const killed = run(enter, ['sh', '-c', `sleep ${seconds} & sleep ${seconds}`], {
    timeout: 500,
    killSignal: 'SIGKILL',
  });

  await expect(killed).rejects.toMatchObject({ signal: 'SIGKILL' });
  expect(await commandLines()).not.toContain(seconds);
});

test('says in one line what is missing where neither root nor user namespaces are to be had', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'enter-'));
  try {
    await writeFile(join(folder, 'id'), '#!/bin/sh\necho 1000\n');
    await writeFile(join(folder, 'unshare'), '#!/bin/sh\nexit 1\n');
    for (const name of ['id', 'unshare']) await chmod(join(folder, name), 0o755);

    const refused = run(enter, ['true'], { env: { PATH: `${folder}:${process.env['PATH']}` } });

    await expect(refused).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^enter\.sh: needs root[^\n]*\n$/),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

async function commandLines(): Promise<string> {
  return (await run('ps', ['ax', '-o', 'args'])).stdout;
}
