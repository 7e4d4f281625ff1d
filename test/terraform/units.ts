/** Units of a rendered machine, as systemd judges them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runToEnd } from '../fabric/process.ts';
import type { Machine } from './user-data.ts';

const folder = '/etc/systemd/system/';

/**
 * What `systemd-analyze verify` says of the machine's flannel-vpc units with their drop-ins, line by line; nothing when they are right. A
 * file stands where the program is installed.
 */
export async function verifyUnits({ files }: Machine): Promise<readonly string[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'units-'));
  try {
    const units: string[] = [];
    for (const [path, { content }] of files) {
      if (!path.startsWith(folder)) continue;
      const file = join(scratch, path.slice(folder.length));
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
      if (path.endsWith('.service')) units.push(file);
    }
    if (units.length === 0) throw new Error('this machine has no units');
    const script =
      'mount -t tmpfs tmpfs /opt; mkdir -p /opt/flannel-vpc/bin; cp "$0" /opt/flannel-vpc/bin/flannel-vpc; exec systemd-analyze verify --man=no "$@"';
    const argv = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', script, '/bin/true', ...units];
    const { code, stderr } = await runToEnd(argv);
    return [...stderr.split('\n').filter((line) => line !== ''), ...(code === 0 ? [] : [`exit code ${code}`])];
  } finally {
    await rm(scratch, { recursive: true });
  }
}
