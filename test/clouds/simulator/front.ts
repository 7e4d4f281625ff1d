/**
 * The front of a simulated cloud's API. Each request goes through the same steps in every cloud:
 *
 * 1. `dialect.operationOf` names it; what it does not know it refuses.
 * 2. `dialect.callerOf` says whose credentials it carries.
 * 3. It is logged.
 * 4. The throttle, then the oldest fault that strikes it (those `before`), then holds.
 * 5. `dialect.carryOut` does it: rights, schemas and the model are the cloud's own.
 * 6. Faults `after`.
 *
 * Any step may throw a `Refusal`, which is answered and logged as the outcome.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CloudFault } from '../cloud-world.ts';
import {
  type HttpServer,
  type Reply,
  type SimulatorAnswer,
  type SimulatorRequest,
  startHttpServer,
} from './http-server.ts';
import { Refusal } from './refusal.ts';
import { Traffic } from './traffic.ts';

export interface Operation {
  /** The cloud's own name of it, as in `CloudRequest.operation`. */
  readonly name: string;
  readonly changes: boolean;
  /** Neither logged nor throttled nor struck by faults: token endpoints and the like. Default false. */
  readonly aside?: boolean | undefined;
}

export type RefusalKind = Extract<CloudFault['effect'], { kind: 'refuse' }>['as'];

export interface Call<O extends Operation> {
  readonly request: SimulatorRequest;
  readonly operation: O;
  /** As in `CloudRequest.caller`. */
  readonly caller: string;
  /** A fault `half` strikes it. */
  readonly half: boolean;
}

/** What differs from cloud to cloud. All may throw `Refusal`. */
export interface Dialect<O extends Operation> {
  operationOf(request: SimulatorRequest): O;
  /** Such as `node/i-1`. */
  callerOf(request: SimulatorRequest, operation: O): string;
  /** Name of the throttle's bucket. Default: one for all, as of an account. */
  bucketOf?(operation: O, caller: string): string;
  /** The cloud's refusal of that kind. `waitMs`: until the throttle lets one pass. */
  refusal(kind: RefusalKind, call: Omit<Call<O>, 'half'>, waitMs?: number): Refusal;
  carryOut(call: Call<O>): Promise<SimulatorAnswer>;
}

export interface FrontOptions<O extends Operation> {
  readonly dialect: Dialect<O>;
  /** Default 127.0.0.1. */
  readonly address?: string | undefined;
  /** Default a free one. */
  readonly port?: number | undefined;
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

export interface Front extends HttpServer {
  readonly traffic: Traffic;
}

export async function startFront<O extends Operation>(options: FrontOptions<O>): Promise<Front> {
  const { dialect } = options;
  const traffic = new Traffic();
  const stopped = new AbortController();

  async function handle(request: SimulatorRequest): Promise<Reply> {
    let operation: O | undefined;
    let caller = 'unknown';
    let refused: unknown;
    try {
      operation = dialect.operationOf(request);
      caller = dialect.callerOf(request, operation);
    } catch (error) {
      refused = error;
    }
    const { name, changes } = operation ?? {
      name: `${request.method} ${request.url.pathname}`,
      changes: request.method !== 'GET',
    };
    const entry = operation?.aside ? undefined : traffic.record(name, caller, changes);
    const note = (outcome: string): void => {
      if (entry) entry.outcome = outcome;
    };
    try {
      if (!operation || refused) throw refused;
      const call = { request, operation, caller };
      const reply = operation.aside ? await dialect.carryOut({ ...call, half: false }) : await carryOut(call);
      note(reply === 'cut' ? 'cut' : reply.status < 400 ? 'ok' : String(reply.status));
      return reply;
    } catch (error) {
      note(error instanceof Refusal ? error.code : 'broken');
      if (error instanceof Refusal) return error.answer;
      // The front is gone, and so is whoever waited.
      if (stopped.signal.aborted) return 'cut';
      throw error;
    }
  }

  async function carryOut(call: Omit<Call<O>, 'half'>): Promise<Reply> {
    const { operation, caller } = call;
    const waitMs = traffic.throttled(dialect.bucketOf?.(operation, caller) ?? 'account');
    if (waitMs !== undefined) throw dialect.refusal('throttled', call, waitMs);
    const fault = traffic.takeFault(operation.name);
    if (fault && fault.when !== 'after') {
      const spoilt = await spoil(fault, call);
      if (spoilt) return spoilt;
    }
    await traffic.passHolds(operation.name);
    const answer = await dialect.carryOut({ ...call, half: fault?.effect.kind === 'half' });
    return (fault?.when === 'after' ? await spoil(fault, call) : undefined) ?? answer;
  }

  /** What a fault makes of a request; undefined when it goes on. */
  async function spoil({ effect }: CloudFault, call: Omit<Call<O>, 'half'>): Promise<Reply | undefined> {
    switch (effect.kind) {
      case 'cut':
        return 'cut';
      case 'delay':
        await delay(effect.ms, undefined, { signal: stopped.signal });
        return undefined;
      case 'status':
        return {
          status: effect.status,
          headers: { 'content-type': 'text/html; charset=UTF-8' },
          body: `<html><head><title>${effect.status}</title></head><body>not now</body></html>`,
        };
      case 'refuse':
        throw dialect.refusal(effect.as, call);
      case 'half':
        return undefined;
    }
  }

  const { address, port, tls } = options;
  const server = await startHttpServer({ address, port, tls, handle });
  return {
    url: server.url,
    port: server.port,
    traffic,
    async stop() {
      stopped.abort();
      await server.stop();
    },
  };
}
