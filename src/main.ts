/** Where the program starts: finds the command, runs it, and turns errors into one clear text and an exit code. */
import { basename } from 'node:path';
import { resolveCommand } from './cli/command.ts';
import { errorMessage, isFlannelVpcError } from './core/errors.ts';
import { wholeOutput } from './whole-output.ts';

/** Success, failure, and command line misuse. */
const exitCodes = { ok: 0, failure: 1, usage: 2 } as const;

async function run(): Promise<number> {
  const name = process.env['FLANNEL_VPC_CALLED_AS'] ?? basename(process.argv[1] ?? '');
  const command = resolveCommand(process.argv.slice(2), { name, env: process.env });
  switch (command.name) {
    case 'agent': {
      const { agentCommand } = await import('./agent/command.ts');
      return await agentCommand(command.argv, process.env);
    }
    case 'controller': {
      const { controllerCommand } = await import('./controller/command.ts');
      return await controllerCommand(command.argv, process.env);
    }
    case 'plan':
    case 'apply':
    case 'status':
    case 'leases':
    case 'routes':
    case 'netconf': {
      const { operatorCommand } = await import('./operator/command.ts');
      return await operatorCommand(command.name, command.argv, process.env);
    }
    case 'doctor': {
      const { doctorCommand } = await import('./doctor/command.ts');
      return await doctorCommand(command.argv, process.env);
    }
    case 'cleanup': {
      const { cleanupCommand } = await import('./cleanup/command.ts');
      return await cleanupCommand(command.argv, process.env);
    }
    case 'docker-opts': {
      const { dockerOptsCommand } = await import('./docker-opts/command.ts');
      return await dockerOptsCommand(command.argv, process.env);
    }
    case 'version': {
      const { version } = await import('./version.ts');
      process.stdout.write(`flannel-vpc ${version}\n`);
      return exitCodes.ok;
    }
    case 'help': {
      const { helpText } = await import('./cli/command-usage.ts');
      process.stdout.write(helpText(command.argv));
      return exitCodes.ok;
    }
    case 'completion': {
      const { completionScript } = await import('./cli/completion.ts');
      process.stdout.write(completionScript(command.argv[0]));
      return exitCodes.ok;
    }
  }
}

function fail(error: unknown): number {
  if (!isFlannelVpcError(error)) {
    process.stderr.write(`flannel-vpc: ${error instanceof Error ? error.stack : errorMessage(error)}\n`);
    return exitCodes.failure;
  }
  const hint =
    error.code === 'USAGE' ? 'See "flannel-vpc help", or "flannel-vpc help COMMAND" for its flags.' : error.hint;
  process.stderr.write(`flannel-vpc: ${error.message}${hint === undefined ? '' : `\n${hint}`}\n`);
  return error.code === 'USAGE' ? exitCodes.usage : exitCodes.failure;
}

// A command that waits for nothing and has no result must not look like success; Node's own exit code for that.
process.once('beforeExit', () => process.exit(13));
const output = wholeOutput();

/** The command's exit code, unless its result was lost. */
function ended(code: number): number {
  const lost = output.failure();
  return lost === undefined ? code : fail(lost);
}

// No top-level await: a single file's scripts are CommonJS.
void run()
  .catch(fail)
  // Connections that close slowly must not keep a stopped daemon alive.
  .then((code) => process.exit(ended(code)));
