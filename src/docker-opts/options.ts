/** The options of flannel's mk-docker-opts.sh, by getopts' rules: letters may stand together, and a value may stick to its letter. */
import { FlannelVpcError } from '../core/errors.ts';

export interface DockerOptsOptions {
  /** `-f`: where subnet.env is. */
  readonly subnetFile: string;
  /** `-d`: where the options are written. */
  readonly optionsFile: string;
  /** `-i`: each option as a variable of its own. Neither `-i` nor `-c` means both. */
  readonly individual: boolean;
  /** `-c`: all options in one variable. */
  readonly combined: boolean;
  /** `-k`: that variable's name. */
  readonly key: string;
  /** `-m`: leave `--ip-masq` out, for Docker before 1.3. */
  readonly withoutMasquerade: boolean;
}

/** @throws USAGE for an unknown letter, a missing value, anything that is no option, or a key that is no variable's name. */
export function parseDockerOpts(argv: readonly string[]): DockerOptsOptions | 'help' {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const words = [...argv];
  for (let word = words.shift(); word !== undefined && word !== '--'; word = words.shift()) {
    if (word === '--help') return 'help';
    if (!/^-./.test(word)) throw new FlannelVpcError('USAGE', `docker-opts takes options only, not ${shown(word)}`);
    for (let rest = word.slice(1); rest !== ''; rest = rest.slice(1)) {
      const letter = rest.slice(0, 1);
      if (letter === 'h' || letter === '?') return 'help';
      if (letter === 'i' || letter === 'c' || letter === 'm') flags.add(letter);
      else if (letter === 'f' || letter === 'd' || letter === 'k') {
        const value = rest.length > 1 ? rest.slice(1) : words.shift();
        if (value === undefined || value === '') throw new FlannelVpcError('USAGE', `-${letter} needs a value`);
        values.set(letter, value);
        break;
      } else throw new FlannelVpcError('USAGE', `Illegal option -${shown(letter).slice(1, -1)}`);
    }
  }
  const key = values.get('k') ?? 'DOCKER_OPTS';
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
    throw new FlannelVpcError('USAGE', `-k ${shown(key)} is no name for a variable: letters, digits and _`);
  const both = !flags.has('i') && !flags.has('c');
  return {
    subnetFile: values.get('f') ?? '/run/flannel/subnet.env',
    optionsFile: values.get('d') ?? '/run/docker_opts.env',
    individual: both || flags.has('i'),
    combined: both || flags.has('c'),
    key,
    withoutMasquerade: flags.has('m'),
  };
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
