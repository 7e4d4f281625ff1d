/** sd_notify by systemd's own program: Node has no datagram sockets of the unix family. */
import { errorMessage, isAbortError } from '../src/core/errors.ts';
import type { Logger } from '../src/core/log.ts';
import { createPrograms } from './exec.ts';

/**
 * Sends `state` (such as `READY=1`) to the service manager; nothing without NOTIFY_SOCKET. Never fails the caller: a missing
 * program or manager is a debug line. The message counts as this process's own, so NotifyAccess=main will do (root).
 */
export async function systemdNotify(
  state: string,
  options: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly logger: Logger;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { env, logger, signal } = options;
  if (!env['NOTIFY_SOCKET']) return;
  try {
    await createPrograms(env).run(['systemd-notify', state], { signal, deadlineMs: 5000 });
  } catch (error) {
    if (isAbortError(error)) throw error;
    logger.debug('service manager not notified', { state, error: errorMessage(error) });
  }
}
