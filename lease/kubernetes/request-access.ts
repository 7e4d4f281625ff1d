/** What one request to the API server is made with. */
import type { SecureContextOptions } from 'node:tls';

export interface RequestAccess {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> & {
    readonly rejectUnauthorized?: boolean | undefined;
    readonly servername?: string | undefined;
  };
}
