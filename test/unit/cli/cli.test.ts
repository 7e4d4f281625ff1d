import { readFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { agentFlags } from '../../../src/cli/agent-flags.ts';
import { type AgentOptions, parseAgentOptions } from '../../../src/cli/agent-options.ts';
import { resolveCommand } from '../../../src/cli/command.ts';
import { commandsDocument } from '../../../src/cli/command-usage.ts';
import { completionScript } from '../../../src/cli/completion.ts';
import { durationText, parseDuration } from '../../../src/cli/flag.ts';
import { agentUsage, flagsDocument } from '../../../src/cli/usage.ts';
import { version } from '../../../src/version.ts';

function options(argv: readonly string[], environment: Record<string, string> = {}): AgentOptions {
  const command = parseAgentOptions({ argv, environment });
  if (command.kind !== 'run') throw new Error(command.kind);
  return command.options;
}

const usage = (message: RegExp): object =>
  expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) });
const config = (message: RegExp): object =>
  expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });

describe('agent flags', () => {
  test('defaults are flannel’s', () => {
    expect(options([])).toMatchObject({
      etcd: {
        endpoints: ['http://127.0.0.1:4001', 'http://127.0.0.1:2379'],
        prefix: '/coreos.com/network',
        username: '',
      },
      interfaces: { ifaces: [], ifaceRegexes: [], canReach: '', publicIp: { 4: '', 6: '' } },
      subnetFile: '/run/flannel/subnet.env',
      cniConf: undefined,
      renewMarginMs: 3_600_000,
      host: {
        ipMasq: false,
        randomFully: true,
        forwardRules: true,
        blackholeRoute: false,
        bridge: undefined,
        resyncMs: 5_000,
      },
      routeCheckIntervalMs: 300_000,
      health: undefined,
      log: { format: 'auto', level: 'info' },
      warnings: [],
    });
  });

  test('Go’s syntax', () => {
    const argv = [
      '-ip-masq',
      '--iface=eth1',
      '--iface',
      'eth2',
      '-healthz-port',
      '8081',
      '--iptables-forward-rules=false',
    ];
    expect(options(argv)).toMatchObject({
      host: { ipMasq: true, forwardRules: false },
      interfaces: { ifaces: ['eth1', 'eth2'] },
      health: { ip: '0.0.0.0', port: 8081 },
    });
    expect(options(['--etcd-prefix=/a=b']).etcd.prefix).toBe('/a=b');
    expect(options(['--route-check-interval=1h30m']).routeCheckIntervalMs).toBe(5_400_000);
  });

  test('Go’s numbers', () => {
    const portOf = (text: string) => options([`--healthz-port=${text}`]).health?.port;
    expect(['8081', '+8081', '0x1F91', '0o17', '017', '0b11', '8_081'].map(portOf)).toEqual([
      ...[8_081, 8_081, 8_081, 15, 15, 3, 8_081],
    ]);
    for (const text of ['08', '0x', '8__081', '_8', '8_', '1e3', '8.0', '', '0b12', '9'.repeat(20)])
      expect(() => portOf(text)).toThrow(usage(/allowed is a whole number/));
  });

  test('flags end at the first argument that is none, as Go’s do, and the log says so', () => {
    const parsed = options(['--ip-masq', 'false', '--iface=eth1', '--no-such-flag']);
    expect(parsed).toMatchObject({ host: { ipMasq: true }, interfaces: { ifaces: [] } });
    expect(parsed.warnings).toEqual([
      '"false" and what follows it on the command line is not read: flags end there, and a switch is turned off by --flag=false',
    ]);
    expect(options(['--ip-masq', '']).host.ipMasq).toBe(true);
    expect(options(['--', '--etcd-password=hunter2'])).toMatchObject({
      warnings: [expect.stringMatching(/^what follows -- on the command line is not read(?!.*hunter2)/)],
    });
    expect(options(['--iface', '--', '--ip-masq'])).toMatchObject({
      ...{ interfaces: { ifaces: ['--'] }, host: { ipMasq: true }, warnings: [] },
    });
  });

  test('values that flannel runs with keep no node off', () => {
    expect(options(['--healthz-port=-1']).health).toBeUndefined();
    expect(options(['--iptables-resync=5']).warnings).toEqual([]);
    expect(options(['--iptables-resync=0'])).toMatchObject({
      ...{ host: { resyncMs: 1_000 }, warnings: ['--iptables-resync=0 counts as 1'] },
    });
    expect(options([], { FLANNELD_IPTABLES_RESYNC: '604800' })).toMatchObject({
      ...{ host: { resyncMs: 86_400_000 }, warnings: ['--iptables-resync=604800 counts as 86400'] },
    });
  });

  test('FLANNELD_VERSION asks for nothing: flannel reads the environment later', () => {
    expect(parseAgentOptions({ argv: [], environment: { FLANNELD_VERSION: '1' } }).kind).toBe('run');
  });

  test('the environment counts where the command line is silent, and an empty variable is none', () => {
    const environment = {
      FLANNELD_ETCD_PREFIX: '/env',
      FLANNELD_IFACE: 'eth9',
      FLANNELD_SUBNET_FILE: '',
      FLANNELD_IP_MASQ: 'true',
    };
    expect(options(['--etcd-prefix=/flag'], environment)).toMatchObject({
      etcd: { prefix: '/flag' },
      interfaces: { ifaces: ['eth9'] },
      subnetFile: '/run/flannel/subnet.env',
      host: { ipMasq: true },
    });
  });

  test('a variable that cannot be read is named and left out', () => {
    const parsed = options([], { FLANNELD_HEALTHZ_PORT: 'eighty', FLANNELD_IP_MASQ: '1' });
    expect(parsed.environmentProblems).toEqual(['FLANNELD_HEALTHZ_PORT is not used: "eighty" is not a whole number']);
    expect(parsed.host.ipMasq).toBe(true);
  });

  test.each([
    [['--ip-mask'], /flag provided but not defined: -ip-mask; did you mean --ip-masq\?/],
    [['--zzzzzzzzzz'], /flag provided but not defined: -zzzzzzzzzz$/],
    [['--healthz-port=x'], /invalid value "x" for flag --healthz-port: allowed is a whole number/],
    [['--ip-masq=maybe'], /invalid value "maybe" for flag --ip-masq: allowed is true or false/],
    [['--iface'], /flag needs an argument: --iface/],
    [['--log-format=xml'], /one of auto, human, json/],
    [['---x'], /is no flag/],
  ])('%j is a usage error', (argv, message) => {
    expect(() => options(argv)).toThrow(usage(message));
  });

  test.each([
    [['--subnet-lease-renew-margin=0'], /Invalid subnet-lease-renew-margin option, out of acceptable range/],
    [['--subnet-lease-renew-margin=1440'], /Invalid subnet-lease-renew-margin option, out of acceptable range/],
    [['--healthz-port=65536'], /--healthz-port is out of range: 65536/],
    [['--healthz-port=-2'], /--healthz-port is out of range: -2/],
    [['--probe-interval=0'], /--probe-interval is out of range: 0s/],
    [['--route-check-interval=25h'], /--route-check-interval is out of range: 25h/],
    [['--subnet-file='], /--subnet-file: "" names no file/],
    [['--cni-conf=/etc/cni/net.d/'], /--cni-conf: "\/etc\/cni\/net.d\/" does not end in .conflist/],
    [['--cni-conf=.conflist'], /does not end in .conflist/],
    [['--bridge=a/b'], /--bridge: "a\/b" is no interface name/],
  ])('%j is refused', (argv, message) => {
    expect(() => options(argv)).toThrow(config(message));
  });

  test('a value out of range in the environment is refused with the name of its variable', () => {
    expect(() => options([], { FLANNELD_HEALTHZ_PORT: '70000' })).toThrow(
      config(/--healthz-port is out of range: 70000 in FLANNELD_HEALTHZ_PORT$/),
    );
    expect(() => options(['--healthz-port=70001'], { FLANNELD_HEALTHZ_PORT: '70000' })).toThrow(
      config(/--healthz-port is out of range: 70001$/),
    );
  });

  test('flags that mean nothing here are accepted and named when given', () => {
    expect(options(['--kubeconfig-file=x', '--vmodule=a=1']).warnings).toEqual([
      '--vmodule has no effect: glog has no part here; --log-level does what it was used for',
    ]);
  });

  test('flags of leases in Kubernetes count with --kube-subnet-mgr alone', () => {
    expect(options(['--kubeconfig-file=x']).kubernetes).toBeUndefined();
    expect(options(['--kube-subnet-mgr', '--kubeconfig-file=x']).kubernetes).toEqual({
      ...{ apiUrl: '', kubeconfigFile: 'x', annotationPrefix: 'flannel.alpha.coreos.com' },
      ...{ netConfFile: '/etc/kube-flannel/net-conf.json', setCondition: true },
    });
  });

  test('the password shows up nowhere', () => {
    const parsed = options(['--etcd-password=hunter2']);
    expect(parsed.etcd.password.reveal()).toBe('hunter2');
    expect(`${JSON.stringify(parsed)} ${inspect(parsed, { depth: 9 })} ${parsed.etcd.password}`).not.toContain(
      'hunter2',
    );
  });

  test('--help and --version win', () => {
    expect(parseAgentOptions({ argv: ['--help'], environment: {} })).toEqual({ kind: 'help' });
    expect(parseAgentOptions({ argv: ['-h=1'], environment: {} })).toEqual({ kind: 'help' });
    expect(parseAgentOptions({ argv: ['-version'], environment: {} })).toEqual({ kind: 'version' });
  });
});

test.each([
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1_500],
  ['0', 0],
  ['5', undefined],
  ['', undefined],
  ['5x', undefined],
])('duration %j', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  [0, '0s'],
  [100, '100ms'],
  [1_500, '1500ms'],
  [90_000, '90s'],
  [300_000, '5m'],
  [86_400_000, '24h'],
])('%d ms as a duration is %s, and read back', (ms, text) => {
  expect(durationText(ms)).toBe(text);
  expect(parseDuration(text)).toBe(ms);
});

describe('commands', () => {
  test.each([
    [['agent', '--ip-masq'], 'flannel-vpc', 'agent', ['--ip-masq']],
    [['--ip-masq'], 'flannel-vpc', 'agent', ['--ip-masq']],
    [[], 'flanneld', 'agent', []],
    [[], 'flanneld-amd64', 'agent', []],
    [['--help'], 'flanneld', 'agent', ['--help']],
    [['--help'], 'flannel-vpc', 'help', []],
    [['netconf', 'check', 'x'], 'flannel-vpc', 'netconf', ['check', 'x']],
  ])('%j as %s', (argv, calledAs, name, rest) => {
    expect(resolveCommand(argv, { name: calledAs, env: {} })).toEqual({ name, argv: rest });
  });

  test('unknown ones', () => {
    expect(() => resolveCommand(['agnet'], { name: 'flannel-vpc', env: {} })).toThrow(
      usage(/unknown command "agnet"; did you mean agent\?/),
    );
    expect(() => resolveCommand([], { name: 'flannel-vpc', env: { FLANNELD_IP_MASQ: '' } })).toThrow(
      usage(/no command given/),
    );
  });

  test("no argument at all is the agent where flanneld's environment is", () => {
    const env = { FLANNELD_ETCD_ENDPOINTS: 'http://192.0.2.1:2379' };
    expect(resolveCommand([], { name: 'flannel-vpc', env })).toEqual({ name: 'agent', argv: [] });
    expect(resolveCommand(['version'], { name: 'flannel-vpc', env })).toEqual({ name: 'version', argv: [] });
  });
});

describe('texts made from the flag table', () => {
  test('usage and completion name every flag', () => {
    for (const { name } of agentFlags) {
      expect(agentUsage()).toContain(`--${name}`);
      expect(completionScript('bash')).toContain(`--${name}`);
    }
    expect(() => completionScript('fish')).toThrow(usage(/"fish" has no script/));
  });

  test('docs/flags.md is up to date', async () => {
    expect(await readFile(new URL('../../../docs/flags.md', import.meta.url), 'utf8')).toBe(flagsDocument());
  });

  test('docs/commands.md is up to date', async () => {
    expect(await readFile(new URL('../../../docs/commands.md', import.meta.url), 'utf8')).toBe(commandsDocument());
  });

  test('the version is package.json’s', async () => {
    const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8');
    expect((JSON.parse(text) as { version: string }).version).toBe(version);
  });
});
