/**
 * A node's probe socket and nothing else, in whatever namespace this is started:
 *
 *     node probe-main.ts SUBNET NETWORK PORT
 *
 * Prints `open`, then for each line of input (`probe ADDRESS`, `ping ADDRESS`, `up ADDRESS PORT`, `heard`) one line of JSON.
 */
import { createInterface } from 'node:readline';
import { systemClock } from '../../../src/core/clock.ts';
import { formatIp, parseCidr, parseIp } from '../../../src/core/ip.ts';
import { probeAddress } from '../../../src/core/probe-address.ts';
import { looks } from '../../../src/probe/looks.ts';
import { groupId, networkId } from '../../../src/probe/message.ts';
import { openProbeSocket } from '../../../src/probe/socket.ts';

const [subnetText = '', networkText = '', port = '0'] = process.argv.slice(2);
const subnet = parseCidr(subnetText);
const network = parseCidr(networkText);
if (!subnet || !network) throw new Error('give SUBNET NETWORK PORT');
const signal = new AbortController().signal;
const heard: string[] = [];
const socket = await openProbeSocket({
  ...{ address: probeAddress(subnet), port: Number(port), network: networkId(network), group: groupId('here') },
  clock: systemClock,
  onRequest: (from) => void heard.push(formatIp(from)),
});
console.log('"open"');

async function answer(line: string): Promise<unknown> {
  const [verb, text = '', at] = line.split(' ');
  if (verb === 'heard') return heard.splice(0);
  const address = parseIp(text);
  if (!address) throw new Error(`${text} is no address`);
  if (verb === 'ping') return await looks.ping(socket.address, address, signal);
  if (verb === 'up') return await looks.isUp(address, Number(at), signal);
  const reply = await socket.probe(address, 1_000, signal);
  return reply ? { seen: formatIp(reply.seen.ip), group: reply.group, called: reply.called } : null;
}

for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await answer(line)));
