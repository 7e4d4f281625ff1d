/** An AWS account of the rig: EC2 by LocalStack behind its proxy, IAM by LocalStack itself, and the test's own hand in both. */
import { EC2Client } from '@aws-sdk/client-ec2';
import { type Ec2Proxy, startEc2Proxy } from './ec2-proxy.ts';
import { type Iam, iamOf } from './iam.ts';
import { type LocalStack, type LocalStackOptions, startLocalStack } from './localstack.ts';
import { adminCredentials } from './roles.ts';

export interface AwsAccountOptions extends Pick<LocalStackOptions, 'images'> {
  /** A running LocalStack to use; one of its own when absent, stopped with the account. */
  readonly localstack?: LocalStack | undefined;
  /** Where the proxy listens. Default 127.0.0.1, a free port. */
  readonly proxyAddress?: string | undefined;
  readonly proxyPort?: number | undefined;
  /** Default `eu-west-1`. */
  readonly region?: string | undefined;
}

export interface AwsAccount {
  readonly proxy: Ec2Proxy;
  /** The test's own client: unlogged and never refused. */
  readonly admin: EC2Client;
  readonly iam: Iam;
  readonly region: string;
  /** For a program that acts as the test's own hand, such as Terraform: endpoints of EC2, IAM and STS, and credentials. */
  readonly adminEnvironment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function openAwsAccount(options: AwsAccountOptions = {}): Promise<AwsAccount> {
  const { region = 'eu-west-1', proxyAddress: address, proxyPort: port, images } = options;
  const localstack = options.localstack ?? (await startLocalStack(images ? { images } : {}));
  const proxy = await startEc2Proxy({ upstream: localstack.url, address, port });
  const { accessKeyId, secretAccessKey } = adminCredentials;
  const credentials = { accessKeyId, secretAccessKey };
  // It tries nothing twice, so it never sends into a connection that the proxy might be closing as idle.
  const requestHandler = { httpAgent: { keepAlive: false } };
  const admin = new EC2Client({ region, endpoint: proxy.url, credentials, maxAttempts: 1, requestHandler });
  const iam = iamOf(localstack.url);
  const endpoint = `http://127.0.0.1:${proxy.port}`;

  return {
    ...{ proxy, admin, iam, region },
    adminEnvironment: {
      ...{ AWS_ENDPOINT_URL_EC2: endpoint, AWS_ENDPOINT_URL_STS: endpoint, AWS_ENDPOINT_URL_IAM: localstack.url },
      ...{ AWS_REGION: region, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    },
    async stop() {
      admin.destroy();
      iam.close();
      await proxy.stop();
      if (!options.localstack) await localstack.stop();
    },
  };
}
