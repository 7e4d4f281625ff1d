/**
 * Files of credentials for who is no instance, of workload identity federation: the one kind of the SDK's own whose token endpoint is
 * not fixed to oauth2.googleapis.com.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tokens } from './tokens.ts';

export class WorkloadCredentials {
  readonly #tokens: Tokens;
  readonly #folder = mkdtempSync(join(tmpdir(), 'gce-credentials-'));
  #made = 0;

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
  }

  /** Path of a file for `GOOGLE_APPLICATION_CREDENTIALS`. `url`: where the caller finds the simulator. */
  fileFor(caller: string, projectNumber: string, url: string): string {
    const base = join(this.#folder, String(++this.#made));
    const [subject, credentials] = [`${base}-subject`, `${base}-credentials.json`];
    const pool = `projects/${projectNumber}/locations/global/workloadIdentityPools/pool-1`;
    writeFileSync(subject, this.#tokens.subject(caller));
    const content = {
      type: 'external_account',
      audience: `//iam.googleapis.com/${pool}/providers/provider-1`,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${url}/v1/token`,
      cloud_resource_manager_url: `${url}/cloudresourcemanager/v1/projects/`,
      credential_source: { file: subject },
    };
    writeFileSync(credentials, JSON.stringify(content));
    return credentials;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
