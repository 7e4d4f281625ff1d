/**
 * A clock for one process that a test sets while it runs, by libfaketime; the machine's own, and that of every other process, stays.
 * The program's children keep the right one: it hands them no LD_PRELOAD.
 */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { libfaketime } from './tools.ts';

export interface FakeClock {
  /** Environment of the process whose clock it is. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Sets it, as libfaketime's README has it: `+1d`, `-10y`, `+0`, `+0 x1.1` (runs faster). It is in force when this resolves.
   */
  set(offset: string): Promise<void>;
  remove(): Promise<void>;
}

/** How long the library may go on with what it read last, seconds. */
const cacheSeconds = 1;

/**
 * Makes one that is right. `monotonic`: `kept` sets the wall clock alone, as a person or NTP does; `faked` sets the monotonic clock
 * too, forward only, as a machine does that slept.
 */
export async function createFakeClock(monotonic: 'kept' | 'faked' = 'kept'): Promise<FakeClock> {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-clock-'));
  const file = join(folder, 'offset');
  await writeFile(file, '+0\n');
  return {
    env: {
      LD_PRELOAD: await libfaketime(),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: String(cacheSeconds),
      // Its shared memory would outlive a process that is killed.
      FAKETIME_DISABLE_SHM: '1',
      DONT_FAKE_MONOTONIC: monotonic === 'kept' ? '1' : '0',
      FAKETIME_DONT_FAKE_MONOTONIC: monotonic === 'kept' ? '1' : '0',
    },
    async set(offset) {
      await writeFile(`${file}.part`, `${offset}\n`);
      await rename(`${file}.part`, file);
      await delay(cacheSeconds * 1_000 + 200);
    },
    async remove() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
