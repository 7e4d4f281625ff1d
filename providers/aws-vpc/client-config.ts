/** What the client of EC2 is made with: its Region, its endpoint, its keys and its time-outs. */
import type { EC2ClientConfig } from '@aws-sdk/client-ec2';
import type { Logger } from '../../src/core/log.ts';

export interface ClientSettings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Region of this machine where the metadata server has told it already. */
  region(): string | undefined;
}

/** Milliseconds to open a connection to EC2. */
const connectionTimeoutMs = 5_000;
/** Milliseconds for one whole answer. A read of many full tables takes a few seconds. */
export const requestTimeoutMs = 30_000;

/** The settings. Where nothing is said here, the SDK's own chain of environment, files and metadata decides. */
export function clientConfig({ environment, logger, region }: ClientSettings): EC2ClientConfig {
  const chosenRegion = environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || region();
  const endpoint = configuredEndpoint(environment);
  const credentials = environmentCredentials(environment);
  return {
    ...(chosenRegion ? { region: chosenRegion } : {}),
    ...(endpoint ? { endpoint } : {}),
    ...(credentials ? { credentials } : {}),
    // One layer retries, in providers/budget.ts; two would multiply.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // Without it the SDK prints a warning and goes on waiting.
      throwOnRequestTimeout: true,
    },
    customUserAgent: 'flannel-vpc',
    logger: sdkLogger(logger),
  };
}

/** Without `info`: its lines hold whole requests and answers, and the SDK, which looks whether it is there, copies them for it. */
function sdkLogger(logger: Logger): NonNullable<EC2ClientConfig['logger']> {
  const quiet: Omit<NonNullable<EC2ClientConfig['logger']>, 'info'> = {
    debug() {},
    warn: (...parts: unknown[]) => logger.warn('the AWS SDK warns', { text: sdkText(parts) }),
    // Every failed call ends in an error of ours, which is told where it matters; aborted ones are none.
    error: (...parts: unknown[]) => logger.debug('the AWS SDK reports an error', { text: sdkText(parts) }),
  };
  return quiet as NonNullable<EC2ClientConfig['logger']>;
}

/** The SDK's texts alone: its objects hold whole requests. */
function sdkText(parts: readonly unknown[]): string {
  return parts
    .flatMap((part) => (typeof part === 'string' ? part : part instanceof Error ? part.message : []))
    .join(' ');
}

function configuredEndpoint(environment: ClientSettings['environment']): string | undefined {
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') return undefined;
  return environment['AWS_ENDPOINT_URL_EC2'] || environment['AWS_ENDPOINT_URL'];
}

/** Keys of the environment, taken without the SDK's chain; a profile goes first, as it does there. */
function environmentCredentials(environment: ClientSettings['environment']): EC2ClientConfig['credentials'] {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'];
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  if (environment['AWS_PROFILE'] || !accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
