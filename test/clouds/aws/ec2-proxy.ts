/**
 * EC2 as its callers see it: an HTTP server in front of LocalStack that adds identities, permissions, throttling, the rules
 * of `ec2-rules.ts`, and faults on demand. Every change is told, and waited for, before its answer goes out. It also tells
 * callers who they are, as STS does.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { HeldCalls } from '../../../providers/memory/gates.ts';
import { type Ec2Answer, Ec2Refusal, refusals } from './ec2-error.ts';
import { type Ec2Request, readEc2Request } from './ec2-request.ts';
import { type Ec2Change, Ec2Rules } from './ec2-rules.ts';
import { type Bucket, type Ec2Fault, Ec2Traffic, type LoggedRequest, type PassingCall } from './ec2-traffic.ts';
import type { Access } from './iam-policy.ts';
import { accountId, adminCredentials, type Caller, RoleBook } from './roles.ts';
import { callerIdentity, isForSts } from './sts.ts';

export interface Ec2ProxyOptions {
  /** LocalStack's URL. */
  readonly upstream: string;
  /** Where to listen. Default 127.0.0.1, a free port. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
}

export interface Ec2Proxy {
  /** For `AWS_ENDPOINT_URL_EC2`, and for `AWS_ENDPOINT_URL_STS`. */
  readonly url: string;
  readonly port: number;
  readonly roles: RoleBook;
  /** Requests since `resetLog`, the test's own (`adminCredentials`) left out. */
  readonly log: readonly LoggedRequest[];
  /** How many requests of these actions, or of all. */
  count(...actions: readonly string[]): number;
  /** Requests by action. */
  counts(): Readonly<Record<string, number>>;
  resetLog(): void;
  inject(fault: Ec2Fault): void;
  clearFaults(): void;
  /** Freezes requests of the action (and of callers whose `role/session` ends so) before they take effect. */
  hold(action: string, ofCaller?: string): HeldCalls;
  /** Freezes those for which it returns true, before they take effect or before they are answered. */
  holdCalls(holds: (call: PassingCall) => boolean): HeldCalls;
  setReadLag(ms: number): void;
  setRouteLimit(routes: number): void;
  /** Undefined: no throttling. */
  setThrottle(bucketOf: ((action: string) => Bucket) | undefined): void;
  /** False: as an endpoint that carries out what was to be tried only. Default true. */
  setDryRuns(known: boolean): void;
  /** What EC2's clock is ahead of ours, in milliseconds. Requests more than 5 minutes off are refused. */
  setClockOffset(ms: number): void;
  putSyntheticRoute(tableId: string, fields: Readonly<Record<string, string>>): void;
  /** Called for each change and awaited before the reply is sent. Returns what ends it. */
  onChange(listener: (change: Ec2Change) => void | Promise<void>): () => void;
  stop(): Promise<void>;
}

/** EC2 refuses requests signed more than this many milliseconds ago, or ahead. */
const signatureValidityMs = 5 * 60_000;

export async function startEc2Proxy(options: Ec2ProxyOptions): Promise<Ec2Proxy> {
  const listeners = new Set<(change: Ec2Change) => void | Promise<void>>();
  const rules = new Ec2Rules(options.upstream, async (change) => {
    for (const listener of listeners) await listener(change);
  });
  const traffic = new Ec2Traffic();
  const roles = new RoleBook();
  let clockOffsetMs = 0;
  let knowsDryRuns = true;

  async function answerTo(request: Ec2Request): Promise<Ec2Answer | 'cut'> {
    if (request.accessKeyId === adminCredentials.accessKeyId) {
      if (isForSts(request)) return callerIdentity(`arn:aws:iam::${accountId}:user/admin`);
      if (isDryRun(request)) throw refusals.dryRun();
      return await rules.handle(request);
    }
    const now = Date.now() + clockOffsetMs;
    let caller: Caller | undefined;
    let refused: unknown;
    try {
      if (Math.abs(now - (request.signedAt ?? now)) > signatureValidityMs) throw refusals.expired();
      caller = roles.callerOf(request, now);
    } catch (error) {
      refused = error;
    }
    const name = caller?.arn.split('assumed-role/')[1] ?? 'unknown';
    const entry = traffic.record(request, name);
    try {
      if (!caller) throw refused;
      const answer = await carryOut(request, caller, name);
      entry.outcome = answer === 'cut' ? 'cut' : answer.status === 200 ? 'ok' : codeIn(answer.body);
      return answer;
    } catch (error) {
      entry.outcome = error instanceof Ec2Refusal ? error.code : 'broken';
      throw error;
    }
  }

  async function carryOut(request: Ec2Request, caller: Caller, name: string): Promise<Ec2Answer | 'cut'> {
    if (isForSts(request)) return callerIdentity(caller.arn);
    traffic.checkThrottle(request);
    const fault = traffic.takeFault(request, name);
    if (fault && fault.when !== 'after') {
      const spoilt = await spoil(fault);
      if (spoilt) return spoilt;
    }
    await traffic.passHolds(request, name, 'before');
    roles.authorize(caller, await accessOf(request, rules));
    if (knowsDryRuns && isDryRun(request)) throw refusals.dryRun();
    const answer = await rules.handle(request);
    await traffic.passHolds(request, name, 'after');
    return (fault?.when === 'after' ? await spoil(fault) : undefined) ?? answer;
  }

  const server = createServer((message, response) => {
    void serve(message, response);
  });

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Ec2Answer | 'cut';
    try {
      answer = await answerTo(await readEc2Request(message));
    } catch (error) {
      answer = error instanceof Ec2Refusal ? error.answer() : brokenAnswer(error);
    }
    if (answer === 'cut') {
      message.socket.destroy();
      return;
    }
    const date = new Date(Date.now() + clockOffsetMs).toUTCString();
    response.writeHead(answer.status, { 'content-type': 'text/xml;charset=UTF-8', ...answer.headers, date });
    response.end(answer.body);
  }

  // Longer than most pauses between two calls, so that few are sent into a connection that is just being closed; and short beside the
  // time that a leader has to fall back to the connections it needs (test/e2e/faults/leaks.ts).
  server.keepAliveTimeout = 15_000;
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(options.port ?? 0, options.address ?? '127.0.0.1', listening.resolve);
  await listening.promise;
  const { address, port } = server.address() as AddressInfo;

  return {
    url: `http://${address}:${port}`,
    port,
    roles,
    log: traffic.log,
    count: (...actions) => traffic.log.filter(({ action }) => actions.length === 0 || actions.includes(action)).length,
    counts: () =>
      Object.fromEntries(
        Object.entries(Object.groupBy(traffic.log, ({ action }) => action)).map(([action, list]) => [
          action,
          list?.length ?? 0,
        ]),
      ),
    resetLog: () => void traffic.log.splice(0),
    inject: (fault) => traffic.inject(fault),
    clearFaults: () => traffic.clearFaults(),
    hold: (action, ofCaller = '') =>
      traffic.hold((call) => call.when === 'before' && call.action === action && call.caller.endsWith(ofCaller)),
    holdCalls: (holds) => traffic.hold(holds),
    setReadLag: (ms) => void (rules.readLagMs = ms),
    setRouteLimit: (routes) => void (rules.routeLimit = routes),
    setThrottle: (bucketOf) => void (traffic.bucketOf = bucketOf),
    setDryRuns: (known) => void (knowsDryRuns = known),
    setClockOffset: (ms) => void (clockOffsetMs = ms),
    putSyntheticRoute: (tableId, fields) => rules.putSyntheticRoute(tableId, fields),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async stop() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
      rules.close();
    },
  };
}

/** What a fault makes of a request; undefined when it only delays it. @throws Ec2Refusal */
async function spoil({ effect }: Ec2Fault): Promise<Ec2Answer | 'cut' | undefined> {
  switch (effect.kind) {
    case 'refuse':
      throw effect.refusal;
    case 'cut':
      return 'cut';
    case 'html':
      return {
        status: effect.status,
        body: `<html><head><title>${effect.status}</title></head><body>not now</body></html>`,
        headers: { 'content-type': 'text/html' },
      };
    case 'delay':
      await delay(effect.ms);
      return undefined;
  }
}

/** EC2 judges the caller and then does nothing. LocalStack would carry out changes of routes. */
function isDryRun({ parameters }: Ec2Request): boolean {
  return parameters.get('DryRun') === 'true';
}

async function accessOf(request: Ec2Request, rules: Ec2Rules): Promise<Access> {
  const { action, parameters, region } = request;
  const arn = (kind: string, id: string) => `arn:aws:ec2:${region}:${accountId}:${kind}/${id}`;
  const vpcId = action === 'ModifyNetworkInterfaceAttribute' ? await rules.vpcOf(request) : undefined;
  const context: Record<string, string> = { 'aws:RequestedRegion': region, 'ec2:Region': region };
  if (vpcId !== undefined) context['ec2:Vpc'] = arn('vpc', vpcId);
  let resource = '*';
  if (/^(Create|Replace|Delete)Route$/.test(action))
    resource = arn('route-table', parameters.get('RouteTableId') ?? '');
  if (action === 'ModifyNetworkInterfaceAttribute')
    resource = arn('network-interface', parameters.get('NetworkInterfaceId') ?? '');
  return { action: `ec2:${action}`, resource, context };
}

/** A fault of the rig itself; loud, so that no test takes it for EC2's. */
function brokenAnswer(error: unknown): Ec2Answer {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`ec2-proxy: ${text}\n`);
  return new Ec2Refusal('RigIsBroken', text, 500).answer();
}

function codeIn(body: string): string {
  return /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? 'failed';
}
