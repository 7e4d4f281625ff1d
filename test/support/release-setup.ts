/** Runs in front of every file of the release tier: the program that its tests start is the single file that `make release` made. */
import { fileURLToPath } from 'node:url';

process.env['FLANNEL_VPC_PROGRAM'] ??= fileURLToPath(
  new URL('../../dist-release/flannel-vpc-linux-amd64', import.meta.url),
);
