/** Who this machine is and by what role it speaks, from a metadata server, its faults and its hop limit included. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createProvider } from '../../../providers/aws-vpc/aws-vpc.ts';
import type { CloudProvider } from '../../../providers/provider.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { parseIp } from '../../../src/core/ip.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { type InstanceMetadata, type MetadataServer, startMetadataServer } from '../../clouds/aws/imds.ts';

const run = promisify(execFile);

const instance: InstanceMetadata = {
  instanceId: 'i-0123456789abcdef0',
  region: 'eu-west-1',
  availabilityZone: 'eu-west-1b',
  nics: [
    {
      nicId: 'eni-0aaaaaaaaaaaaaaa0',
      mac: '02:42:0a:00:01:0a',
      subnetId: 'subnet-0aaaaaaaaaaaaaaa0',
      vpcId: 'vpc-0aaaaaaaaaaaaaaa0',
      privateIpv4s: ['10.0.1.10', '10.0.1.11'],
      ipv6s: ['2001:db8::a'],
    },
    {
      nicId: 'eni-0bbbbbbbbbbbbbbb0',
      mac: '02:42:0a:00:02:0a',
      subnetId: 'subnet-0bbbbbbbbbbbbbbb0',
      vpcId: 'vpc-0aaaaaaaaaaaaaaa0',
      privateIpv4s: ['10.0.2.10'],
      ipv6s: [],
    },
  ],
};

describe('identify', () => {
  let metadata: MetadataServer;
  beforeEach(async () => {
    metadata = await startMetadataServer({ metadata: instance });
  });
  afterEach(async () => {
    await metadata.stop();
  });

  it('reads instance, zone, Region and every NIC with all its addresses', async () => {
    const me = await providerAt(metadata.url).identify(signal());

    expect(me).toEqual({
      instanceId: 'i-0123456789abcdef0',
      zone: 'eu-west-1b',
      region: 'eu-west-1',
      nics: [
        {
          nicId: 'eni-0aaaaaaaaaaaaaaa0',
          subnetId: 'subnet-0aaaaaaaaaaaaaaa0',
          networkId: 'vpc-0aaaaaaaaaaaaaaa0',
          addresses: ['10.0.1.10', '10.0.1.11', '2001:db8::a'].map(parseIp),
        },
        {
          nicId: 'eni-0bbbbbbbbbbbbbbb0',
          subnetId: 'subnet-0bbbbbbbbbbbbbbb0',
          networkId: 'vpc-0aaaaaaaaaaaaaaa0',
          addresses: [parseIp('10.0.2.10')],
        },
      ],
      clockAheadMs: expect.any(Number),
    });
    // One machine, one clock; the server tells whole seconds.
    expect(Math.abs(me.clockAheadMs ?? Number.NaN)).toBeLessThan(60_000);
  });

  it('gets a token first and never asks without it', async () => {
    await providerAt(metadata.url).identify(signal());

    expect(metadata.requests[0]).toBe('PUT /latest/api/token');
    expect(metadata.requests.filter((request) => request.startsWith('PUT'))).toHaveLength(1);
    // Id, zone, Region and the list of NICs, then five leaves of each NIC.
    expect(metadata.requests).toHaveLength(1 + 4 + 2 * 5);
  });

  it('asks side by side, not one by one', async () => {
    metadata.setFaults({ delayMs: 50 });

    await providerAt(metadata.url).identify(signal());

    expect(metadata.mostAtOnce).toBe(2 * 5);
  });

  it('says how to switch on a metadata server that is disabled', async () => {
    metadata.setFaults({ disabled: true });

    await expect(providerAt(metadata.url).identify(signal())).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      message: expect.stringContaining('403'),
      hint: expect.stringContaining('--http-endpoint enabled'),
    });
  });

  it('speaks of the hop limit when nobody answers', async () => {
    metadata.setFaults({ silent: true });

    await expect(providerAt(metadata.url).identify(signal())).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      hint: expect.stringContaining('--http-put-response-hop-limit 2'),
    });
  });

  it('says so where there is no metadata server at all', async () => {
    await expect(providerAt('http://127.0.0.1:9').identify(signal())).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
      hint: expect.stringContaining('EC2 instance'),
    });
  });

  it('asks nothing where AWS_EC2_METADATA_DISABLED is set', async () => {
    const provider = providerAt(metadata.url, { AWS_EC2_METADATA_DISABLED: 'true' });

    await expect(provider.identify(signal())).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
    expect(metadata.requests).toEqual([]);
  });

  it('does not take something else at the address for the metadata server', async () => {
    metadata.setMetadata({ ...instance, instanceId: '' });

    await expect(providerAt(metadata.url).identify(signal())).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      message: expect.stringContaining('instance-id'),
    });
  });

  it('refuses an endpoint that is no URL', async () => {
    await expect(providerAt('169.254.169.254').identify(signal())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('ends at once when the caller gives up, and as METADATA_UNAVAILABLE at the caller’s deadline', async () => {
    metadata.setFaults({ silent: true });
    const giveUp = new AbortController();
    const identified = providerAt(metadata.url).identify(giveUp.signal);
    giveUp.abort();

    await expect(identified).rejects.toMatchObject({ name: 'AbortError' });
    await expect(providerAt(metadata.url).identify(AbortSignal.timeout(100))).rejects.toMatchObject({
      code: 'METADATA_UNAVAILABLE',
    });
  });
});

describe('a metadata server at 169.254.169.254 behind a network with a hop limit of 1', () => {
  let server: ChildProcess;

  beforeEach(async () => {
    // host <-> imds: one hop, as from the instance itself. host <-> pod: one more, as from a container's own network.
    await ip('netns add imds');
    await ip('netns add pod');
    await ip('link add imds0 type veth peer name eth0 netns imds');
    await ip('link add pod0 type veth peer name eth0 netns pod');
    await ip('address add 10.99.0.1/24 dev imds0');
    await ip('address add 10.98.0.1/24 dev pod0');
    await ip('link set imds0 up');
    await ip('link set pod0 up');
    await ip('-n imds link set lo up');
    await ip('-n imds address add 10.99.0.2/24 dev eth0');
    await ip('-n imds address add 169.254.169.254/32 dev lo');
    await ip('-n imds link set eth0 up');
    await ip('-n imds route add default via 10.99.0.1');
    await ip('-n pod address add 10.98.0.2/24 dev eth0');
    await ip('-n pod link set eth0 up');
    await ip('-n pod route add default via 10.98.0.1');
    await ip('route add 169.254.169.254/32 via 10.99.0.2');
    await run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    // What EC2 does to the token's answer.
    await inNamespace('imds', 'sysctl', '-qw', 'net.ipv4.ip_default_ttl=1');
    const main = new URL('../../clouds/aws/imds-main.ts', import.meta.url).pathname;
    server = spawn('ip', ['netns', 'exec', 'imds', process.execPath, main, '169.254.169.254:80'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [ready] = await order(server, { state: instance });
    expect(ready).toBe('ok');
  });

  afterEach(async () => {
    server.stdin?.end();
    if (server.exitCode === null) await once(server, 'exit');
    // Without these the kernel takes its time with the links of a namespace that is gone.
    await ip('link delete imds0');
    await ip('link delete pod0');
    await ip('netns delete imds');
    await ip('netns delete pod');
  });

  it('answers the instance, and not its containers, which are told what to change', async () => {
    const fromHost = await providerAt(undefined).identify(signal());
    const fromPod = await identifyInNamespace('pod');

    expect(fromHost.instanceId).toBe(instance.instanceId);
    expect(fromPod).toMatchObject({
      code: 'METADATA_UNAVAILABLE',
      hint: expect.stringContaining('--http-put-response-hop-limit 2'),
    });

    await inNamespace('imds', 'sysctl', '-qw', 'net.ipv4.ip_default_ttl=2');
    expect(await identifyInNamespace('pod')).toMatchObject({ instanceId: instance.instanceId });
  });

  it('takes orders while it runs', async () => {
    await order(server, { faults: { disabled: true } });

    await expect(providerAt(undefined).identify(signal())).rejects.toMatchObject({
      message: expect.stringContaining('403'),
    });
  });
});

function providerAt(endpoint: string | undefined, more: Readonly<Record<string, string>> = {}): CloudProvider {
  return createProvider({
    config: { routeTableIds: [] },
    logger: silentLogger,
    clock: systemClock,
    random: Math.random,
    environment: { ...(endpoint === undefined ? {} : { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint }), ...more },
  });
}

function signal(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

async function ip(command: string): Promise<void> {
  await run('ip', command.split(' '));
}

async function inNamespace(namespace: string, ...command: readonly string[]): Promise<string> {
  const { stdout } = await run('ip', ['netns', 'exec', namespace, ...command]);
  return stdout;
}

/** Identity, or the error's code and hint, as a process in the namespace sees it. */
async function identifyInNamespace(namespace: string): Promise<unknown> {
  const module = new URL('../../../providers/aws-vpc/imds.ts', import.meta.url).href;
  const script = `
    const { readIdentity } = await import(${JSON.stringify(module)});
    const result = await readIdentity({ environment: {} }, AbortSignal.timeout(10_000)).catch(({ code, hint }) => ({ code, hint }));
    console.log(JSON.stringify(result, (_, value) => (typeof value === 'bigint' ? String(value) : value)));`;
  return JSON.parse(await inNamespace(namespace, process.execPath, '--input-type=module', '-e', script));
}

async function order(process: ChildProcess, what: unknown): Promise<readonly unknown[]> {
  if (!process.stdin || !process.stdout) throw new Error('the metadata server has no input');
  const answer = once(createInterface({ input: process.stdout }), 'line');
  process.stdin.write(`${JSON.stringify(what)}\n`);
  return await answer;
}
