/** What an operator reads when something given to a controller is wrong: each time what it is, and what to do. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type LogLine, program } from '../../fabric/agent.ts';
import { type EtcdServer, freePort, startEtcd } from '../../fabric/etcd.ts';
import { type Process, start } from '../../fabric/process.ts';

const key = '/coreos.com/network/config';
const named = { Type: 'aws-vpc', Writer: 'controller', RouteTableID: 'rtb-0123456789abcdef0' };
let etcd: EtcdServer;
let child: Process | undefined;

beforeAll(async () => {
  etcd = await startEtcd();
});
afterEach(async () => {
  await child?.kill('SIGKILL');
});
afterAll(async () => {
  await etcd?.stop();
});

/** Without a cloud, credentials or a metadata server. */
function controller(args: readonly string[], env: Readonly<Record<string, string>> = {}): Process {
  const usual = [`--etcd-endpoints=${etcd.endpoint}`, '--healthz-port=0', '--leader-elect=false'];
  child = start([program, 'controller', ...usual, ...args], {
    ...{ AWS_REGION: 'eu-west-1', AWS_EC2_METADATA_DISABLED: 'true', AWS_ENDPOINT_URL_EC2: 'http://127.0.0.1:9' },
    ...{ AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' },
    ...env,
  });
  return child;
}

const putBackend = (Backend: object): Promise<void> =>
  etcd.put(key, JSON.stringify({ Network: '10.244.0.0/16', Backend }));

function lines({ log }: Process): readonly LogLine[] {
  return log()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}

describe('a controller that can’t do what it is told ends', () => {
  beforeAll(async () => {
    await putBackend(named);
  });

  it.each([
    ['an unknown flag', ['--leader-elec'], 2, /-leader-elec; did you mean --leader-elect\?/],
    ['a value that is none', ['--resync=soon'], 2, /"soon" for flag --resync: allowed is a duration such as 90s/],
    ['a choice that is none', ['--backend-types=vxlan'], 2, /--backend-types.*own.*all/],
    [
      'a term shorter than a write',
      ['--leader-elect=true', '--leader-elect-lease-duration=5s'],
      1,
      /give at least 12s.*5s is too short for aws-vpc/,
    ],
    [
      'a pause longer than half a term',
      ['--leader-elect=true', '--leader-elect-retry-period=10s'],
      1,
      /more than half of --leader-elect-lease-duration \(15s\)/,
    ],
    ['a backend that is unknown', ['--backend-type=aws'], 1, /aws.*aws-vpc/],
  ])('by %s', async (_what, args, code, words) => {
    const { ended, log } = controller(args);
    expect(await ended).toBe(code);
    expect(log()).toMatch(words);
  });

  it('by a port that somebody else has', async () => {
    const port = await freePort('127.0.0.1');
    const first = start([program, 'controller', `--etcd-endpoints=${etcd.endpoint}`, `--healthz-port=${port}`]);
    try {
      await first.waitForLog(new RegExp(`http://127.0.0.1:${port}/`));
      const { ended, log } = controller([`--healthz-port=${port}`]);
      expect(await ended).toBe(1);
      expect(log()).toMatch(/Choose a free port.*--healthz-port.*can't serve the status page.*already in use/);
    } finally {
      await first.kill('SIGKILL');
    }
  });

  it('by a net-conf without route tables, and says nothing of who writes them', async () => {
    await putBackend({ Type: 'alloc' });
    const { ended, log } = controller([]);
    expect(await ended).toBe(1);
    expect(log()).toMatch(/Set Backend.Type.*the backend alloc has no route tables, so there is nothing to control/);
    expect(log()).not.toContain('Writer');
  });
});

describe('a controller that has to wait says for what, once, and goes on by itself', () => {
  it('for net-conf that is missing, then wrong, then there', async () => {
    await etcd.delete(key);
    const waiting = controller([]);
    await waiting.waitForLog(/not found in etcd store/);
    expect(waiting.log()).toMatch(/key \\"config\\"; the controller waits for it/);
    await etcd.put(key, '{"Network":"10.244.0.0","Backend":{"Type":"aws-vpc"}}');
    await waiting.waitForLog(/invalid CIDR address: 10.244.0.0.*the controller goes on by itself/s);
    await putBackend(named);
    await waiting.waitForLog(/net-conf is usable now/);
    const errors = lines(waiting).filter(({ msg }) => msg === "Couldn't fetch network config");
    expect(errors.map(({ error }) => String(error).slice(0, 18))).toEqual(['flannel config not', 'Network: invalid C']);
  });

  it('for etcd', async () => {
    const waiting = controller(['--etcd-endpoints=http://127.0.0.1:9']);
    await waiting.waitForLog(/no answer from the lease store yet; still trying/);
    await waiting.waitForLog(/ECONNREFUSED.*Check --etcd-endpoints, and that etcd is running/);
  });

  it('for credentials', async () => {
    await putBackend(named);
    const waiting = controller([]);
    await waiting.waitForLog(/no source has credentials/);
    expect(waiting.log()).toMatch(/attach a role with the policy in providers\/aws-vpc\/README.md/);
  });

  it('for EC2, before its tries are used up', async () => {
    const waiting = controller([], { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret' });
    await waiting.waitForLog(/check the way to the EC2 endpoint: NAT or VPC endpoint, security group, DNS/);
    expect(lines(waiting).filter(({ level }) => level === 'warn')).toHaveLength(1);
  });
});
