/**
 * The effects of one program on the store, the cloud and the kernel, one by one: each can be held before it happens, or when it has
 * happened and the program does not know yet. That is where it is killed.
 */
import type { Cluster } from '../../fabric/cluster.ts';
import { createCommandGate } from '../../fabric/command-gate.ts';
import { startGrpcGate } from '../../fabric/grpc-gate.ts';
import { rigAddress } from '../../fabric/management.ts';

/** An effect, and whether it is about to happen or has. */
export interface Step {
  readonly when: 'before' | 'after';
  /** Such as `store: Txn subnets`, `cloud: CreateRoute rtb-1` or `kernel: ip link add …`. */
  readonly name: string;
}

export interface StepGate {
  /** For the program: it goes to etcd through the gate, and finds the gate's programs on its PATH. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Holds all steps for which it returns true, from now on. */
  arm(holds: (step: Step) => boolean): ArmedSteps;
  close(): Promise<void>;
}

export interface ArmedSteps {
  /** Resolves when the first is held. */
  readonly reached: Promise<Step>;
  /** Held so far. */
  readonly held: readonly Step[];
  /** Lets what is held go on. What a program that is gone had asked of the store or the kernel is dropped; EC2 carries it out, late. */
  release(): void;
}

/** `caller`: how the program's credentials end, such as an instance's id. */
export async function createStepGate({ etcd, aws }: Cluster, caller: string): Promise<StepGate> {
  const grpc = await startGrpcGate(etcd.endpoint);
  const commands = await createCommandGate();
  return {
    args: [`--etcd-endpoints=http://${rigAddress}:${grpc.port}`],
    env: commands.env,
    arm(holds) {
      const { promise: reached, resolve } = Promise.withResolvers<Step>();
      const held: Step[] = [];
      const decide = (when: Step['when'], name: string | undefined): boolean => {
        if (name === undefined || !holds({ when, name })) return false;
        held.push({ when, name });
        resolve({ when, name });
        return true;
      };
      const gates = [
        grpc.hold(({ method, request, when }) => decide(when, storeStep(method, request))),
        aws.proxy.holdCalls((call) => call.caller.endsWith(caller) && decide(call.when, cloudStep(call))),
        commands.hold(({ command, when }) => decide(when, `kernel: ${command}`)),
      ];
      return {
        ...{ reached, held },
        release() {
          for (const gate of gates) gate.release();
        },
      };
    },
    async close() {
      await grpc.close();
      await commands.remove();
    },
  };
}

/** Number 1, with a length, in protobuf. */
const fieldOfComparisons = 0x0a;

/** What is written: reads and keepalives change nothing. */
function storeStep(method: string, request: string): string | undefined {
  if (method === 'Lease/LeaseGrant' || method === 'Lease/LeaseRevoke') return `store: ${method.slice(6)}`;
  // After gRPC's five bytes the first field: comparisons, which every write has; a transaction without them only reads.
  if (method !== 'KV/Txn' || request.charCodeAt(5) !== fieldOfComparisons) return undefined;
  // Compared keys stand in it too: a report is stored only while the lease stands, a record only while the leader leads.
  const written = ['flannel-vpc/routes', 'flannel-vpc/nodes', 'subnets', 'flannel-vpc/leader'].find((folder) =>
    request.includes(`/coreos.com/network/${folder}`),
  );
  return `store: Txn ${written}`;
}

function cloudStep({
  action,
  parameters,
}: {
  readonly action: string;
  readonly parameters: URLSearchParams;
}): string | undefined {
  if (action.startsWith('Describe')) return undefined;
  return `cloud: ${action} ${parameters.get('RouteTableId') ?? ''}`.trim();
}

/** Kills at every step, each once before it and once after it: the steps so far, for `arm`. */
export class EveryStep {
  readonly #done = new Set<string>();

  /** True until a program was killed there. */
  holds = ({ when, name }: Step): boolean =>
    when === 'before' ? !this.#done.has(`before ${name}`) : !this.#done.has(`after ${name}`);

  /** A program was killed while these were held. */
  killedAt(steps: readonly Step[]): void {
    for (const { when, name } of steps) this.#done.add(`${when} ${name}`);
  }

  /** In the order of the kills. */
  get list(): readonly string[] {
    return [...this.#done];
  }
}
