/** What the program itself is given: net-conf, flags, the environment, and packets of others. */
import fc from 'fast-check';
import { parseCleanupOptions } from '../../../src/cleanup/options.ts';
import { parseAgentOptions } from '../../../src/cli/agent-options.ts';
import { resolveCommand } from '../../../src/cli/command.ts';
import { parseDuration } from '../../../src/cli/flag.ts';
import { parseControllerOptions } from '../../../src/controller/options.ts';
import { formatCidr, formatIp, parseCidr, parseInterfaceAddress, parseIp } from '../../../src/core/ip.ts';
import { parseDockerOpts } from '../../../src/docker-opts/options.ts';
import { parseDoctorOptions } from '../../../src/doctor/options.ts';
import { checkNetConf } from '../../../src/netconf/check.ts';
import { parseNetConf } from '../../../src/netconf/net-conf.ts';
import { withoutSecretValues } from '../../../src/netconf/secrets.ts';
import { parseArguments } from '../../../src/operator/arguments.ts';
import { parseSubnets } from '../../../src/operator/subnet-operand.ts';
import { decodeReply, decodeRequest, encodeReply, encodeRequest } from '../../../src/probe/message.ts';
import { ip } from '../../support/addresses.ts';
import { hostileAddress, hostileCidr, hostileJson, hostileText, rawControls } from '../../support/hostile.ts';
import type { Edge } from './edge.ts';

const isThere = (result: unknown): boolean => result !== undefined;

const netConfs = [
  {
    ...{ Network: '10.244.0.0/16', SubnetLen: 24, SubnetMin: '10.244.1.0', SubnetMax: '10.244.255.0' },
    ...{ EnableIPv4: true, EnableIPv6: true, IPv6Network: 'fd42::/48', IPv6SubnetLen: 64 },
    Backend: {
      Type: 'aws-vpc',
      Writer: 'controller',
      RouteTableID: ['rtb-0123456789abcdef0'],
      NonMasqueradeCIDRs: ['10.0.0.0/8'],
    },
  },
  { Network: '10.244.0.0/16', Backend: { Type: 'aws-vpc', RouteTableTag: 'a=b' } },
  { Network: '10.244.0.0/16', Backend: { Type: 'gce', VPCNetwork: 'my-project/default', RouteLimit: 100 } },
  {
    Network: '10.244.0.0/16',
    Backend: { Type: 'ali-vpc', RegionID: 'cn-hangzhou', AccessKeyID: 'LTAI', AccessKeySecret: 'verysecret' },
  },
  { Network: '10.244.0.0/16', Backend: { Type: 'azure-vnet', RouteTable: 'group/table', ForeignController: true } },
  { Network: '10.244.0.0/16', Backend: { Type: 'vxlan', VNI: 1, Port: 8472, MTU: 1450, DirectRouting: true } },
  { Network: '10.244.0.0/16', Backend: { Type: 'extension', SubnetAddCommand: 'ip route add $SUBNET via $PUBLIC_IP' } },
];

const words = fc.array(
  fc.oneof(
    hostileText,
    fc
      .tuple(
        fc.constantFrom(
          'etcd-endpoints',
          'resync',
          'bridge',
          'cni-conf',
          'iface',
          'iptables-resync',
          'v',
          'o',
          'healthz-port',
        ),
        hostileText,
      )
      .map(([name, text]) => `--${name}=${text}`),
    fc.constantFrom(
      '--iptables-resync=999999999999999',
      '--subnet-lease-renew-margin=999999999',
      '-v',
      '--',
      '-',
      '--=',
      '---x',
    ),
  ),
  { maxLength: 4 },
);
const environment = fc.dictionary(
  fc.constantFrom(
    'FLANNELD_ETCD_ENDPOINTS',
    'FLANNELD_RESYNC',
    'FLANNELD_IPTABLES_RESYNC',
    'FLANNELD_V',
    'FLANNELD_IFACE',
    '__proto__',
  ),
  hostileText,
);
type Given = readonly [readonly string[], Readonly<Record<string, string>>];
const given = fc.tuple(words, environment);

/** Timers of a machine end at once where they are longer, and what was to rest runs without a pause. */
const longestTimerMs = 2 ** 31 - 1;

/** Every number is one that can be counted and waited for. */
function withSoundNumbers<T>(options: T): T {
  JSON.stringify(options, (name, part: unknown) => {
    if (typeof part !== 'number') return part;
    const isTime = name.endsWith('Ms');
    if (!Number.isFinite(part) || (isTime && part > longestTimerMs)) throw new TypeError(`${name} is ${part}`);
    return part;
  });
  return options;
}

/** A command line of one of the commands. */
function commandLine(name: string, sound: readonly string[], read: (...given: Given) => unknown): Edge {
  return {
    ...{ name: `flags and environment of ${name}`, files: [], sound: [[sound, {}]], inputs: given, refuses: 'ours' },
    read: ([argv, env]: Given) => withSoundNumbers(read(argv, env)),
    taken: isThere,
  };
}

const network = '0123456789abcdef';
const nonce = '00112233445566778899aabbccddeeff';
const reply = { kind: 'answer', nonce, seen: { ip: ip('10.244.7.0'), port: 8473 }, group: network } as const;

/** A packet with some bytes changed, cut or added. */
function packets(sound: Buffer): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.array(fc.tuple(fc.nat(255), fc.nat(255)), { maxLength: 4 }), fc.integer({ min: -8, max: 8 }))
    .map(([changes, more]) => {
      const packet = Buffer.concat([sound, Buffer.alloc(8)]).subarray(0, sound.length + more);
      for (const [at, byte] of changes) if (at < packet.length) packet[at] = byte;
      return packet;
    });
}

export const edgesOfTheProgram: readonly Edge[] = [
  {
    name: 'net-conf',
    files: [
      ...['src/netconf/net-conf.ts', 'src/netconf/backend.ts', 'src/netconf/json-syntax.ts', 'providers/catalog.ts'],
      ...['aws-vpc', 'gce', 'ali-vpc', 'azure-vnet', 'vxlan', 'extension'].map((type) => `providers/${type}/config.ts`),
    ],
    sound: netConfs.map((conf) => JSON.stringify(conf)),
    inputs: fc.oneof(
      { weight: 20, arbitrary: hostileJson(netConfs) },
      {
        weight: 1,
        arbitrary: hostileText.map((Type) => JSON.stringify({ Network: '10.244.0.0/16', Backend: { Type } })),
      },
      { weight: 1, arbitrary: hostileCidr.map((Network) => JSON.stringify({ Network, Backend: { Type: 'aws-vpc' } })) },
    ),
    read(text: string) {
      const { lines } = checkNetConf(text);
      for (const line of lines) {
        if (rawControls.test(line)) throw new Error(`raw control characters: ${JSON.stringify(line)}`);
        if (line.length > 3_000) throw new Error(`a line of ${line.length} characters`);
      }
      if (lines.length > 150) throw new Error(`${lines.length} lines`);
      const parsed = parseNetConf(text);
      if (!parsed.ok && parsed.problems.length === 0) throw new Error('refused without a word');
      return parsed.ok ? parsed.netConf : undefined;
    },
    taken: isThere,
    refuses: 'result',
  },
  {
    name: "net-conf's text, to be shown without secrets",
    files: ['src/netconf/secrets.ts'],
    sound: [JSON.stringify(netConfs[3])],
    inputs: fc.oneof(hostileJson(netConfs), fc.constant('\\"'.repeat(60_000)), fc.constant(`"a"${' '.repeat(60_000)}`)),
    read(text: string) {
      const shown = withoutSecretValues(text);
      if (text === JSON.stringify(netConfs[3]) && shown.includes('verysecret')) throw new Error('a secret is shown');
      return shown;
    },
    taken: isThere,
    refuses: 'result',
  },
  commandLine('agent', ['--bridge=cni0'], (argv, env) => parseAgentOptions({ argv, environment: env })),
  commandLine('controller', ['--resync=5m'], (argv, env) => parseControllerOptions({ argv, environment: env })),
  commandLine('leases', ['-o', 'json'], (argv, env) => parseArguments('leases', argv, env)),
  commandLine('doctor', ['-o=json'], (argv, env) => parseDoctorOptions(argv, env)),
  commandLine('cleanup', ['--dry-run'], (argv, env) => parseCleanupOptions(argv, env)),
  commandLine('docker-opts', ['-i'], (argv) => parseDockerOpts(argv)),
  commandLine('no command', ['agent'], (argv, env) => resolveCommand(argv, { name: 'flannel-vpc', env })),
  {
    name: 'a duration',
    files: ['src/cli/flag.ts'],
    sound: ['1h30m', '0'],
    inputs: fc.oneof(
      hostileText,
      fc.constant(`${'9'.repeat(50_000)}h`),
      fc.constant('1h'.repeat(20_000)),
      fc.constant(`${'1'.repeat(50_000)}x`),
    ),
    read: (text: string) => parseDuration(text),
    taken: isThere,
    refuses: 'result',
  },
  {
    name: 'an address or a network as text',
    files: ['src/core/ip.ts'],
    sound: ['10.244.7.0/24', 'fd42::/48', '10.244.7.1'],
    inputs: fc.oneof(hostileAddress, hostileCidr, hostileText),
    read(text: string) {
      const network = parseCidr(text);
      const address = parseIp(text);
      parseInterfaceAddress(text);
      // What was taken is written as it is read.
      for (const [shown, again] of [
        [network && formatCidr(network), network && parseCidr(formatCidr(network))],
        [address && formatIp(address), address && parseIp(formatIp(address))],
      ] as const) {
        if (shown !== undefined && (again === undefined || !/^[0-9a-f.:/]+$/.test(shown)))
          throw new Error(`taken as ${shown}`);
      }
      return network ?? address;
    },
    taken: isThere,
    refuses: 'result',
  },
  {
    name: 'SUBNET of a command line',
    files: [],
    sound: ['10.244.7.0/24,fd42:0:0:7::/64'],
    inputs: fc.oneof(
      hostileCidr,
      fc.array(hostileCidr).map((all) => all.join(',')),
      hostileText,
    ),
    read: (text: string) => parseSubnets(text),
    taken: isThere,
    refuses: 'ours',
  },
  {
    name: "a probe's packets",
    files: ['src/probe/message.ts'],
    sound: [encodeRequest(network, nonce), encodeReply(network, reply)],
    inputs: fc.oneof(
      packets(encodeRequest(network, nonce)),
      packets(encodeReply(network, reply)),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    ),
    read: (packet: Buffer) => decodeRequest(packet, network) ?? decodeReply(packet, network),
    taken: isThere,
    refuses: 'result',
  },
];
