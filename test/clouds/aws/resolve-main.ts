/**
 * Asks aws-vpc for the NIC of an address, with nothing but this process's own environment, and prints the resolution or the
 * error as one line of JSON:
 *
 *     node resolve-main.ts ADDRESS VPC-ID [MILLISECONDS]
 *
 * and again for each line of its input. An answer is waited for as long as is said, or 30 seconds.
 */
import { createInterface } from 'node:readline';
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { type Ip, parseIp } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';

const [address = '', networkId, waitMs = '30000'] = process.argv.slice(2);
const ip = parseIp(address);
if (!ip) throw new Error(`${address} is no address`);
const provider = createProvider({
  config: { routeTableIds: [] },
  logger: silentLogger,
  clock: systemClock,
  random: Math.random,
  environment: process.env,
});
async function ask(address: Ip): Promise<unknown> {
  try {
    if (process.env['AWS_REGION'] === undefined) await provider.identify(AbortSignal.timeout(10_000));
    const [resolution] = await provider.resolve([{ address, networkId }], AbortSignal.timeout(Number(waitMs)));
    return resolution;
  } catch (error) {
    if (!isFlannelVpcError(error)) throw error;
    const { code, message, hint, details } = error;
    return { code, message, hint, details };
  }
}

try {
  console.log(JSON.stringify(await ask(ip)));
  for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(await ask(ip)));
} finally {
  await provider.close();
}
// As the program does it: what the SDK still waits for keeps nobody.
process.exit();
