/**
 * Asks aws-vpc for the NIC of an address, with nothing but this process's own environment, and prints the resolution or the
 * error as one line of JSON:
 *
 *     node resolve-main.ts ADDRESS VPC-ID
 */
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { isFlannelVpcError } from '../../../src/core/errors.ts';
import { parseIp } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';

const [address = '', networkId] = process.argv.slice(2);
const ip = parseIp(address);
if (!ip) throw new Error(`${address} is no address`);
const provider = createProvider({
  config: { routeTableIds: [] },
  logger: silentLogger,
  clock: systemClock,
  random: Math.random,
  environment: process.env,
});
try {
  if (process.env['AWS_REGION'] === undefined) await provider.identify(AbortSignal.timeout(10_000));
  const [resolution] = await provider.resolve([{ address: ip, networkId }], AbortSignal.timeout(30_000));
  console.log(JSON.stringify(resolution));
} catch (error) {
  if (!isFlannelVpcError(error)) throw error;
  const { code, message, hint, details } = error;
  console.log(JSON.stringify({ code, message, hint, details }));
} finally {
  await provider.close();
}
