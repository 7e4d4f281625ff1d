/** This process, or the machine, has no file descriptor left: nothing can be opened or started until some are closed. */

export const fileLimitHint =
  'Give this process more file descriptors: `ulimit -n`, or LimitNOFILE in its systemd unit; see /proc/PID/limits.';

/** True for the text of an error that says so. */
export function isFileLimit(text: string): boolean {
  return /\bE[MN]FILE\b/.test(text);
}
