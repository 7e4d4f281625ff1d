/**
 * Global operations: PENDING, RUNNING, DONE. The change takes effect and its listeners are told before it is DONE, which is also
 * what it becomes when it fails: `error` tells, although every HTTP status was 200.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { refusals } from './errors.ts';
import { idOf, linkTo, timestamp } from './names.ts';

/** Why an operation failed, as in `operation.error.errors`. */
export class OperationError extends Error {
  readonly code: string;
  /** As in `httpErrorStatusCode` and `httpErrorMessage`. */
  readonly http: readonly [number, string];
  readonly details: readonly object[];

  constructor(code: string, message: string, http: readonly [number, string], details: readonly object[] = []) {
    super(message);
    this.name = 'OperationError';
    this.code = code;
    this.http = http;
    this.details = details;
  }
}

interface OperationOrder {
  readonly project: string;
  readonly type: 'insert' | 'delete';
  /** Path of what it changes. */
  readonly target: string;
  readonly targetId: string;
  readonly caller: string;
  /** Resolves when the change is in force and everybody was told. @throws OperationError */
  readonly effect: () => Promise<void>;
}

interface Operation extends Omit<OperationOrder, 'effect'> {
  readonly name: string;
  readonly at: number;
  status: 'PENDING' | 'RUNNING' | 'DONE';
  startedAt: number | undefined;
  endedAt: number | undefined;
  error: OperationError | undefined;
  readonly done: Promise<void>;
}

export class Operations {
  /** How long one takes, milliseconds. */
  delayMs = 0;
  /** Longest time that `wait` waits, milliseconds. Google's is two minutes; short, so that callers must ask again. */
  waitLimitMs = 1000;
  /** Most of one type under way in a project; no limit when undefined. */
  concurrent: number | undefined;
  readonly #all = new Map<string, Operation>();
  readonly #requests = new Map<string, { readonly content: string; readonly operation: string }>();
  readonly #stopped = new AbortController();

  /**
   * The operation of an earlier request of this id, as answered now.
   *
   * @throws Refusal where that request was another one.
   */
  earlier(requestId: string | undefined, content: string): object | undefined {
    const known = this.#requests.get(requestId ?? '');
    if (!known) return undefined;
    if (known.content !== content) {
      throw refusals.invalid('requestId', requestId, 'The request ID was used before for another request.');
    }
    return this.#show(this.#all.get(known.operation) as Operation);
  }

  /** What is being done to the resource at this path. */
  underWay(target: string): 'insert' | 'delete' | undefined {
    return [...this.#all.values()].find((one) => one.target === target && one.status !== 'DONE')?.type;
  }

  /** Starts one, and gives it as the API answers. @throws Refusal where too many are under way. */
  start(order: OperationOrder, request: { readonly id: string | undefined; readonly content: string }): object {
    const { effect, ...rest } = order;
    const { project, type } = order;
    const busy = [...this.#all.values()].filter(
      (one) => one.project === project && one.type === type && one.status !== 'DONE',
    );
    if (busy.length >= (this.concurrent ?? Number.POSITIVE_INFINITY)) {
      throw refusals.tooManyOperations(project, `compute.routes.${type}`);
    }
    const hex = (bytes: number) => randomBytes(bytes).toString('hex');
    const name = `operation-${Date.now()}-${hex(7)}-${hex(4)}-${hex(4)}`;
    const done = Promise.withResolvers<void>();
    const operation: Operation = {
      ...rest,
      name,
      at: Date.now(),
      status: 'PENDING',
      startedAt: undefined,
      endedAt: undefined,
      error: undefined,
      done: done.promise,
    };
    this.#all.set(name, operation);
    if (request.id !== undefined) this.#requests.set(request.id, { content: request.content, operation: name });
    const answer = this.#show(operation);
    void this.#run(operation, effect).finally(done.resolve);
    return answer;
  }

  /** @throws Refusal where there is none of that name. */
  get(project: string, name: string): object {
    return this.#show(this.#known(project, name));
  }

  /** Gives it when it is done, or as it is after a while. @throws Refusal where there is none of that name. */
  async wait(project: string, name: string): Promise<object> {
    const operation = this.#known(project, name);
    const limit = new AbortController();
    const patience = delay(this.waitLimitMs, undefined, {
      signal: AbortSignal.any([limit.signal, this.#stopped.signal]),
    }).catch(() => {});
    await Promise.race([operation.done, patience]);
    limit.abort();
    return this.#show(operation);
  }

  /** Ends all waiting; what has not taken effect never will. */
  stop(): void {
    this.#stopped.abort();
  }

  async #run(operation: Operation, effect: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopped;
    const half = this.delayMs / 2;
    try {
      await delay(half, undefined, { signal });
      operation.status = 'RUNNING';
      operation.startedAt = Date.now();
      await delay(half, undefined, { signal });
      await effect();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof OperationError)) process.stderr.write(`simulator: ${operation.name}: ${String(error)}\n`);
      operation.error =
        error instanceof OperationError ? error : new OperationError('RIG_IS_BROKEN', String(error), [599, 'BROKEN']);
    }
    operation.endedAt = Date.now();
    operation.status = 'DONE';
  }

  #known(project: string, name: string): Operation {
    const operation = this.#all.get(name);
    if (operation?.project !== project) {
      throw refusals.notFound(`projects/${project}/global/operations/${name}`);
    }
    return operation;
  }

  #show({ project, name, type, target, targetId, status, caller, at, startedAt, endedAt, error }: Operation): object {
    const [httpErrorStatusCode, httpErrorMessage] = error?.http ?? [];
    return {
      kind: 'compute#operation',
      id: idOf(name),
      name,
      operationType: type,
      targetLink: linkTo(target),
      targetId,
      status,
      user: `${caller.replaceAll('/', '.')}@${project}.iam.gserviceaccount.com`,
      progress: status === 'DONE' ? 100 : 0,
      insertTime: timestamp(at),
      ...(startedAt === undefined ? {} : { startTime: timestamp(startedAt) }),
      ...(endedAt === undefined ? {} : { endTime: timestamp(endedAt) }),
      ...(error && {
        error: {
          errors: [
            {
              code: error.code,
              message: error.message,
              ...(error.details.length > 0 ? { errorDetails: error.details } : {}),
            },
          ],
        },
        httpErrorStatusCode,
        httpErrorMessage,
      }),
      selfLink: linkTo(`projects/${project}/global/operations/${name}`),
    };
  }
}
