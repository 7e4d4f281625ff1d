/** Runs in front of every file of the tiers that need namespaces: outside the rig they must not touch the machine. */
import { jest } from '@jest/globals';
import { assertInRig } from './rig.ts';

assertInRig();
// Real servers, kernels and time-outs: minutes, not seconds.
jest.setTimeout(120_000);
