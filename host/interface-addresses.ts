/** Addresses of a link as the kernel has them now, without starting a program. */
import { constants, type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { errorMessage, FlannelVpcError } from '../src/core/errors.ts';
import { type Ip, parseIp } from '../src/core/ip.ts';
import { fileLimitHint, isFileLimit } from './file-limit.ts';

/** Both families. None for a link that is not there, is down, or has no carrier. @throws as {@link addressRows} does. */
export function addressesOf(device: string): readonly Ip[] {
  return addressRows(device).flatMap(({ address }) => parseIp(address) ?? []);
}

/** What Node has of them. @throws HOST_COMMAND_FAILED when the kernel can't be asked, for want of a file descriptor, say. */
export function addressRows(device: string): readonly NetworkInterfaceInfo[] {
  try {
    return networkInterfaces()[device] ?? [];
  } catch (cause) {
    const why = namedError(errorMessage(cause));
    throw new FlannelVpcError(
      'HOST_COMMAND_FAILED',
      `the kernel can't be asked for the addresses of ${device}: ${why}`,
      {
        hint: isFileLimit(why) ? fileLimitHint : undefined,
        cause,
      },
    );
  }
}

/** Node does not know the system's numbers here. */
function namedError(text: string): string {
  const number = /Unknown system error (\d+)/.exec(text)?.[1];
  const [name] = Object.entries(constants.errno).find(([, value]) => String(value) === number) ?? [];
  return name ?? text;
}
