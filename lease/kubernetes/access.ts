/**
 * How to reach the API server: from inside a pod, by a kubeconfig file, or by a bare URL. Credentials are asked for anew with each
 * request, since the kubelet replaces a pod's token about every hour.
 */
import { readFileSync, statSync } from 'node:fs';
import { errorMessage, FlannelVpcError } from '../../src/core/errors.ts';
import type { RequestAccess } from './request-access.ts';

export interface KubernetesAccessOptions {
  /** `--kube-api-url`; empty: as the kubeconfig file or the pod says. */
  readonly apiUrl: string;
  /** `--kubeconfig-file`; empty: none. */
  readonly kubeconfigFile: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface KubernetesAccess {
  readonly server: URL;
  /** Credentials as they are now. @throws CONFIG_INVALID for files that can't be read. */
  request(): Promise<RequestAccess>;
  /** The server refused the credentials (401): the next request reads or makes them anew. */
  forget(): void;
}

/** Where the kubelet mounts what a pod may know ("Accessing the Kubernetes API from a Pod"). */
const podFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Nothing is sent. @throws CONFIG_INVALID when there is no way to an API server. */
export async function openAccess(options: KubernetesAccessOptions): Promise<KubernetesAccess> {
  const { apiUrl, kubeconfigFile, environment } = options;
  if (kubeconfigFile !== '') {
    const { readKubeconfig } = await import('./kubeconfig.ts');
    const { server, request, forget } = await readKubeconfig(kubeconfigFile);
    const scheme = /^https:/i.test(server) ? 'https' : 'http';
    return { server: apiUrl ? parseApiUrl(apiUrl, scheme) : parseServer(server, kubeconfigFile), request, forget };
  }
  if (apiUrl !== '')
    return {
      server: parseApiUrl(apiUrl, 'http'),
      request: async () => ({ headers: {}, tls: {} }),
      forget() {},
    };
  return accessInPod(environment);
}

/** As client-go reads it: `127.0.0.1:8080` is a server as well, by http where no certificates are given for it. */
function parseApiUrl(text: string, scheme: 'http' | 'https'): URL {
  return parseServer(text.includes('://') ? text : `${scheme}://${text}`, '--kube-api-url');
}

export function parseServer(text: string, what: string): URL {
  const url = URL.parse(text);
  if (url && ['http:', 'https:'].includes(url.protocol)) return url;
  throw new FlannelVpcError(
    'CONFIG_INVALID',
    `${what}: ${JSON.stringify(text.slice(0, 200))} is no URL of an API server`,
    {
      hint: 'Give a URL such as https://10.0.0.1:6443.',
    },
  );
}

function accessInPod(environment: KubernetesAccessOptions['environment']): KubernetesAccess {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT'];
  if (!host || !port) {
    throw new FlannelVpcError('CONFIG_INVALID', 'unable to load in-cluster configuration: not inside a pod', {
      hint: 'Give --kubeconfig-file, or run as a pod with a service account (KUBERNETES_SERVICE_HOST and _PORT are set there).',
    });
  }
  const token = fileText(`${podFolder}/token`);
  const ca = fileText(`${podFolder}/ca.crt`);
  const server = parseServer(`https://${host.includes(':') ? `[${host}]` : host}:${port}`, 'KUBERNETES_SERVICE_HOST');
  return {
    server,
    async request() {
      return { headers: { authorization: `Bearer ${token.read().trim()}` }, tls: { ca: ca.read() } };
    },
    forget() {
      token.forget();
      ca.forget();
    },
  };
}

interface FileText {
  read(): string;
  forget(): void;
}

/** The file's text, read again when it has been replaced. */
function fileText(path: string): FileText {
  let known: { readonly text: string; readonly mtimeMs: number } | undefined;
  let stale = false;
  return {
    read() {
      try {
        const { mtimeMs } = statSync(path);
        if (stale || known?.mtimeMs !== mtimeMs) known = { text: readFileSync(path, 'utf8'), mtimeMs };
        stale = false;
        return known.text;
      } catch (error) {
        // While the kubelet replaces it.
        if (known) return known.text;
        throw new FlannelVpcError('CONFIG_INVALID', `can't read ${path}: ${errorMessage(error)}`, {
          hint: 'The pod needs a service account whose token is mounted (automountServiceAccountToken).',
          cause: error,
        });
      }
    },
    forget() {
      stale = true;
    },
  };
}
