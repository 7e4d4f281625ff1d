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
  /** Of the route that it is about, such as `10.244.7.0/24`, where it is about one. */
  readonly subnet?: string | undefined;
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
      const decide = (when: Step['when'], what: Effect | undefined): boolean => {
        if (what === undefined || !holds({ when, ...what })) return false;
        const step = { when, ...what };
        held.push(step);
        resolve(step);
        return true;
      };
      const gates = [
        grpc.hold(({ method, request, when }) => decide(when, storeStep(method, request))),
        aws.proxy.holdCalls((call) => call.caller.endsWith(caller) && decide(call.when, cloudStep(call))),
        commands.hold(({ command, when }) => decide(when, { name: `kernel: ${command}` })),
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

type Effect = Omit<Step, 'when'>;

/** What is written: reads and keepalives change nothing. */
function storeStep(method: string, request: string): Effect | undefined {
  if (method === 'Lease/LeaseGrant' || method === 'Lease/LeaseRevoke') return { name: `store: ${method.slice(6)}` };
  // After gRPC's five bytes the first field: comparisons, which every write has; a transaction without them only reads.
  if (method !== 'KV/Txn' || request.charCodeAt(5) !== fieldOfComparisons) return undefined;
  // Compared keys stand in it too: a report is stored only while the lease stands, a record only while the leader leads.
  const written = ['flannel-vpc/routes', 'flannel-vpc/nodes', 'subnets', 'flannel-vpc/leader'].find((folder) =>
    request.includes(`/coreos.com/network/${folder}`),
  );
  const name = `store: Txn ${written}`;
  if (written !== 'flannel-vpc/routes') return { name };
  const [, subnet] = /flannel-vpc\/routes\/([\d.]+-\d+)\//.exec(request) ?? [];
  // A record that is put has a target; the mark of a removal is put as well.
  const kind = request.includes('"removingUntil"') ? ' marked' : request.includes('"target"') ? '' : ' forgotten';
  return { name: `${name}${kind}`, subnet: subnet?.replace('-', '/') };
}

function cloudStep({
  action,
  parameters,
}: {
  readonly action: string;
  readonly parameters: URLSearchParams;
}): Effect | undefined {
  if (action.startsWith('Describe')) return undefined;
  const name = `cloud: ${action} ${parameters.get('RouteTableId') ?? ''}`.trim();
  return { name, subnet: parameters.get('DestinationCidrBlock') ?? undefined };
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
