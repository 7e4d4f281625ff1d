/** mk-docker-opts.sh's options and text, where the recorded cases have none. */
import { describe, expect, test } from '@jest/globals';
import { dockerOptionsText, readDockerOptions } from '../../../src/docker-opts/docker-opts.ts';
import { parseDockerOpts } from '../../../src/docker-opts/options.ts';

const parsed = (...argv: readonly string[]) => {
  const options = parseDockerOpts(argv);
  if (options === 'help') throw new Error('help was meant');
  return options;
};

describe('options', () => {
  test('are the script’s, with its defaults', () => {
    expect(parsed()).toEqual({
      ...{ subnetFile: '/run/flannel/subnet.env', optionsFile: '/run/docker_opts.env', key: 'DOCKER_OPTS' },
      ...{ individual: true, combined: true, withoutMasquerade: false },
    });
  });

  test('stand apart, together, and with their values or before them', () => {
    expect(parsed('-im', '-d', '/a', '-f/b', '-k', 'KEY')).toMatchObject({
      ...{ individual: true, combined: false, withoutMasquerade: true },
      ...{ optionsFile: '/a', subnetFile: '/b', key: 'KEY' },
    });
    expect(parsed('-ck', 'KEY')).toMatchObject({ combined: true, individual: false, key: 'KEY' });
  });

  test.each([
    [['-z'], /Illegal option -z/],
    [['-f'], /-f needs a value/],
    [['file'], /takes options only/],
    [['-k', 'A B'], /no name for a variable/],
    [['-k', 'X="; rm'], /no name for a variable/],
  ])('%j are refused', (argv, words) => {
    expect(() => parseDockerOpts(argv)).toThrow(words);
  });

  test('ask for help', () => {
    expect([parseDockerOpts(['-h']), parseDockerOpts(['--help']), parseDockerOpts(['-?'])]).toEqual([
      'help',
      'help',
      'help',
    ]);
  });
});

test('what a variable has in the environment stays in front', () => {
  const docker = readDockerOptions('FLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n');
  expect(dockerOptionsText(docker, parsed('-c'), '-D')).toBe(
    'DOCKER_OPTS="-D  --bip=10.1.74.1/24 --ip-masq=false --mtu=1450"\n',
  );
});

test('quoted values, as a shell would read them', () => {
  expect(readDockerOptions(`export FLANNEL_SUBNET="10.1.74.1/24"\nFLANNEL_MTU='1450'`)).toMatchObject({
    ...{ bip: '10.1.74.1/24', mtu: '1450', ipMasq: undefined },
  });
});

test('without a file there are no options', () => {
  expect(dockerOptionsText(readDockerOptions(undefined), parsed(), undefined)).toBe('DOCKER_OPTS=""\n');
});

test.each([
  ['FLANNEL_SUBNET', '10.1.74.1/24"; reboot #'],
  ['FLANNEL_SUBNET', '$(reboot)'],
  ['FLANNEL_SUBNET', 'fd42::1/64'],
  ['FLANNEL_MTU', '1450 --privileged'],
  ['FLANNEL_IPMASQ', 'yes'],
])('%s=%s gets into no file', (name, value) => {
  expect(() => readDockerOptions(`${name}=${value}\n`)).toThrow(`Invalid value of ${name}`);
});
