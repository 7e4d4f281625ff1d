/** Runs in front of every unit test file: a limit for what hangs, far above what any of them takes on a busy machine. */
import { jest } from '@jest/globals';

jest.setTimeout(30_000);
