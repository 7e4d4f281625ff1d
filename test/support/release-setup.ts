/** Runs in front of every file of the release tier: the program that its tests start is the single file that `make release` made. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { architectures, singleFileName } from '../../tools/release/step.ts';

const here = architectures.find(({ node }) => node === process.arch);
if (!here) throw new Error(`there is no single file for ${process.arch}`);
const release = fileURLToPath(new URL('../../dist-release', import.meta.url));
process.env['FLANNEL_VPC_PROGRAM'] ??= join(release, singleFileName(here));
