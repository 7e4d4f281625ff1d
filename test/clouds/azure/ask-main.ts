/**
 * A process of its own that reads tables as the program would, for credentials that a process takes from its environment: prints what
 * it got as JSON. Arguments: ids of tables.
 */
import { createProvider } from '../../../providers/azure-vnet/azure-vnet.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { errorMessage, isFlannelVpcError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/log.ts';

const print = (...parts: unknown[]): void => console.error(...parts);
const logger: Logger = { debug: print, info: print, warn: print, error: print };
const config = { routeTableIds: [], foreignController: false };
const provider = createProvider({
  ...{ config, logger, clock: systemClock, random: Math.random, environment: process.env },
});
try {
  const selector = { tableIds: process.argv.slice(2), networkId: undefined, subnetIds: [] };
  const tables = await provider.tables(selector, AbortSignal.timeout(20_000));
  console.log(JSON.stringify({ tables: tables.map(({ id }) => id) }));
} catch (error) {
  console.error(error);
  const { code = '', hint = '' } = isFlannelVpcError(error) ? error : {};
  console.log(JSON.stringify({ code, hint, message: errorMessage(error) }));
} finally {
  await provider.close();
}
