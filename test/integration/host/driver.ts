/** A Linux host in a process of its own, so that it can live in a namespace and be killed. Speaks IPC with node.ts. */

import type { EchoRequests } from '../../../host/echo.ts';
import { createPrograms, type Programs } from '../../../host/exec.ts';
import type { HostState, InterfaceSelection, PeerNetworkState } from '../../../host/host.ts';
import { createLinuxHost } from '../../../host/linux-host.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { FlannelVpcError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/log.ts';
import type { VxlanLink } from '../../../src/core/peer-network.ts';

export type Call =
  | { readonly call: 'apply'; readonly state: HostState; readonly phase: 'start' | 'resync'; readonly dieAt?: number }
  | { readonly call: 'find'; readonly selection: InterfaceSelection }
  | { readonly call: 'peer-network'; readonly routes: PeerNetworkState }
  | { readonly call: 'networks-in-use'; readonly bridge: string }
  | { readonly call: 'links'; readonly links: readonly VxlanLink[] }
  | { readonly call: 'loosen'; readonly devices: readonly string[] }
  | { readonly call: 'echoes'; readonly requests: EchoRequests }
  | { readonly call: 'on-link'; readonly device: string };

export type Answer =
  | { readonly result: unknown; readonly commands: readonly string[]; readonly logs: readonly string[] }
  | { readonly error: { readonly code: string; readonly message: string; readonly hint: string | undefined } };

let commands: string[] = [];
let logs: string[] = [];
let dieAt = -1;

const real = createPrograms();
const missing = (process.env['TEST_MISSING'] ?? '').split(' ').filter((name) => name !== '');

function started(argv: readonly [string, ...string[]]): [string, ...string[]] {
  commands.push(argv.join(' '));
  const [program, ...rest] = argv;
  return [missing.some((name) => program.startsWith(name)) ? `absent-${program}` : program, ...rest];
}

const programs: Programs = {
  run(argv, options) {
    if (commands.length === dieAt) {
      // The program has been started when we die, and may or may not get to its end.
      void real.run(argv, options).catch(() => {});
      process.kill(process.pid, 'SIGKILL');
    }
    return real.run(started(argv), options);
  },
  repeat(argv, input) {
    const repeater = real.repeat(argv, input);
    return {
      run(signal) {
        started(argv);
        return repeater.run(signal);
      },
    };
  },
};

const keep =
  (level: string) =>
  (message: string, fields: unknown = {}): void => {
    logs.push(`${level} ${message} ${JSON.stringify(fields)}`);
  };
const logger: Logger = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
const clock: Clock = systemClock;
const host = createLinuxHost({ logger, clock, programs });

process.on('message', (message: Call) => {
  void answer(message).then((reply) => process.send?.(reply));
});

async function answer(message: Call): Promise<Answer> {
  commands = [];
  logs = [];
  dieAt = message.call === 'apply' ? (message.dieAt ?? -1) : -1;
  const signal = AbortSignal.timeout(60_000);
  try {
    return { result: await carryOut(message, signal), commands, logs };
  } catch (error) {
    if (error instanceof FlannelVpcError) {
      return { error: { code: error.code, message: error.message, hint: error.hint } };
    }
    return {
      error: { code: 'not ours', message: error instanceof Error ? `${error.stack}` : String(error), hint: '' },
    };
  }
}

function carryOut(message: Call, signal: AbortSignal): Promise<unknown> {
  if (message.call === 'apply') return host.apply(message.state, message.phase, signal);
  if (message.call === 'find') return host.findExternalInterface(message.selection, signal);
  if (message.call === 'networks-in-use') return host.networksInUse(message.bridge, signal);
  if (message.call === 'links') return host.ensureLinks(message.links, signal);
  if (message.call === 'loosen') return host.loosenReversePath(message.devices);
  if (message.call === 'echoes') return host.countEchoes(message.requests, signal);
  if (message.call === 'on-link') return host.onLinkNetworks(message.device, signal);
  return host.applyPeerNetwork(message.routes, signal);
}
