/** Whether a file of Docker's options is one that docker-opts (or flannel's script) wrote. Pure. */
import { isFlannelVpcError } from '../core/errors.ts';
import { type DockerOptions, dockerOptionsText, readDockerOptions } from './docker-opts.ts';

/** True where some options of docker-opts make exactly this text of that subnet.env. */
export function areDockerOptionsOf(text: string, subnetText: string): boolean {
  let docker: DockerOptions;
  try {
    docker = readDockerOptions(subnetText);
  } catch (error) {
    if (isFlannelVpcError(error)) return false;
    throw error;
  }
  const [, key = 'DOCKER_OPTS', value = ''] = /(?:^|\n)([A-Za-z_]\w*)="(.*)"\n$/.exec(text) ?? [];
  // What the variable held before stands in front.
  const before = value.includes('  --') ? value.slice(0, value.lastIndexOf('  --')) : undefined;
  return [true, false].some((withoutMasquerade) =>
    (
      [
        [true, true],
        [true, false],
        [false, true],
      ] as const
    ).some(
      ([individual, combined]) =>
        dockerOptionsText(
          docker,
          { individual, combined, key, withoutMasquerade, subnetFile: '', optionsFile: '' },
          combined ? before : undefined,
        ) === text,
    ),
  );
}
