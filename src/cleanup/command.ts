/** `flannel-vpc cleanup`: shows what of ours stands on this node, asks, and takes it out. */
import { createPrograms } from '../../host/exec.ts';
import { listProcesses } from '../../host/processes.ts';
import { isFlannel, isOurAgent, programOf } from '../agent-processes.ts';
import { commandUsage } from '../cli/command-usage.ts';
import { FlannelVpcError, isAbortError } from '../core/errors.ts';
import { type Console, confirmed, createConsole } from '../operator/console.ts';
import type { Session } from '../operator/session.ts';
import { withSession } from '../operator/session.ts';
import { type CleanupParts, carryOut, lookAtNode } from './carry-out.ts';
import { type CleanupOptions, parseCleanupOptions } from './options.ts';
import { type CleanupPlan, planCleanup } from './plan.ts';

/** Runs the command and gives its exit code: 1 where something of ours is left. @throws USAGE for flags, CONFLICT while an agent runs. */
export async function cleanupCommand(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const command = parseCleanupOptions(argv, environment);
  const console = createConsole(environment);
  if (command.kind === 'help') {
    console.print(commandUsage('cleanup').trimEnd());
    return 0;
  }
  const { options, get, environmentProblems } = command;
  for (const problem of environmentProblems) console.say(`flannel-vpc: ${problem}`);
  try {
    return await withSession({ get, operands: [], console, environment }, (session) => cleanUp(options, session));
  } catch (error) {
    if (!isAbortError(error)) throw error;
    console.say('flannel-vpc: interrupted; run it again to go on');
    return 1;
  }
}

async function cleanUp(options: CleanupOptions, session: Session): Promise<number> {
  const { console, environment, signal } = session;
  const parts: CleanupParts = { ...session, programs: createPrograms(environment) };
  const look = async (): Promise<CleanupPlan> => planCleanup(await lookAtNode(parts, options, signal), options);
  const running = await agents();
  if (running !== undefined && !options.dryRun) throw agentRuns(running);
  const shown = await look();
  console.print(...describe(shown, session));
  if (options.dryRun) {
    if (running !== undefined) console.say(`${running}: end it first, else a clean-up is refused`);
    return 0;
  }
  if (shown.removals.length === 0) return shown.inTheWay.length > 0 ? 1 : 0;
  const question = 'Remove all of these?';
  if (!(await confirmed(console, { yes: options.yes, question, signal }))) {
    console.say('nothing was changed');
    return 1;
  }
  const agreed = options.yes ? shown : await look();
  if (texts(agreed) !== texts(shown)) {
    throw new FlannelVpcError('CONFLICT', 'this node has changed since the list was shown; nothing was changed', {
      hint: 'Run it again, and look at the new list.',
    });
  }
  // A person thinks for a while.
  const started = await agents();
  if (started !== undefined) throw agentRuns(started);
  const failures = await carryOut(parts, agreed.removals, signal);
  return report(agreed, await look(), failures, session);
}

/** What is gone, and what is not. */
function report(
  before: CleanupPlan,
  after: CleanupPlan,
  failures: readonly string[],
  { console }: Pick<Session, 'console'>,
): number {
  const { good, bad } = console.paint;
  const left = after.removals.map(({ text }) => text);
  console.print(
    ...before.removals.filter(({ text }) => !left.includes(text)).map(({ text }) => `${good('done')}  ${text}`),
  );
  console.say(
    ...left.map((text) => `${bad('left')}  ${text}`),
    ...failures.map((failure) => `${bad('failed')}  ${failure}`),
    ...(left.length > 0 ? ['Run it again to go on.'] : []),
  );
  return left.length > 0 || after.inTheWay.length > 0 ? 1 : 0;
}

/** The list, and what stays. */
function describe(plan: CleanupPlan, { console }: { readonly console: Console }): readonly string[] {
  const { strong, caution, faint } = console.paint;
  const nothing = plan.removals.length + plan.inTheWay.length === 0;
  return [
    ...(nothing ? ['nothing of ours is on this node'] : []),
    ...plan.removals.map(({ text }) => `${strong('remove')}  ${text}`),
    ...plan.inTheWay.map(({ text, why }) => `${caution('in the way')}  ${text}: ${why}`),
    ...plan.foreign.map(({ text, why }) => `${faint('stays')}  ${text}: ${why}`),
    ...(nothing
      ? []
      : [
          `${faint('stays')}  kernel settings (net.ipv4.ip_forward and its like): others may rely on them`,
          `${faint('stays')}  the lease and the cloud’s routes: see "flannel-vpc leases release" and "flannel-vpc routes purge"`,
        ]),
  ];
}

function texts({ removals }: CleanupPlan): string {
  return removals.map(({ text }) => text).join('\n');
}

/** The agents that run on this node's network, in words; undefined for none. */
async function agents(): Promise<string | undefined> {
  const here = (await listProcesses()).filter(({ sameNetwork }) => sameNetwork);
  const found = here.filter((one) => isOurAgent(one) || isFlannel(one));
  if (found.length === 0) return undefined;
  return found.map((one) => `${isFlannel(one) ? programOf(one) : 'an agent'} runs (process ${one.pid})`).join(', ');
}

function agentRuns(running: string): FlannelVpcError {
  return new FlannelVpcError('CONFLICT', `nothing was changed: ${running}`, {
    hint: 'End it and keep it from starting again (systemctl disable --now flannel-vpc-agent): it would make all of it anew.',
  });
}
