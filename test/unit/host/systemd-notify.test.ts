import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemdNotify } from '../../../host/systemd-notify.ts';
import { type Logger, silentLogger } from '../../../src/core/log.ts';

const { signal } = new AbortController();

describe('telling the service manager', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'notify-'));
    await writeFile(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${folder}/told\n`);
    await chmod(join(folder, 'systemd-notify'), 0o755);
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('hands the state and the socket to systemd-notify', async () => {
    const env = { PATH: folder, NOTIFY_SOCKET: '/run/manager' };

    await systemdNotify('READY=1', { env, logger: silentLogger, signal });

    expect(await readFile(join(folder, 'told'), 'utf8')).toBe('/run/manager READY=1\n');
  });

  it('starts nothing where no manager asks', async () => {
    await systemdNotify('READY=1', { env: { PATH: folder }, logger: silentLogger, signal });

    await expect(readFile(join(folder, 'told'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('never fails its caller, and says why in a debug line', async () => {
    const lines: string[] = [];
    const logger: Logger = { ...silentLogger, debug: (message) => lines.push(message) };
    await writeFile(join(folder, 'systemd-notify'), '#!/bin/sh\nexit 1\n');

    await systemdNotify('READY=1', { env: { PATH: folder, NOTIFY_SOCKET: '/run/manager' }, logger, signal });

    expect(lines).toEqual(['service manager not notified']);
  });
});
