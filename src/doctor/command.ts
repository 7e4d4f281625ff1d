/** `flannel-vpc doctor`: wires the checks to the real store, kernel, cloud and clock, and shows what they found. */
import { createPrograms } from '../../host/exec.ts';
import { createLinuxHost } from '../../host/linux-host.ts';
import { commandUsage } from '../cli/command-usage.ts';
import { openCloud } from '../cloud.ts';
import { isAbortError } from '../core/errors.ts';
import { silentLogger } from '../core/log.ts';
import { createConsole } from '../operator/console.ts';
import { printListing } from '../operator/listing.ts';
import { type Session, withSession } from '../operator/session.ts';
import { type OpenStores, openStores } from '../stores.ts';
import { examine } from './doctor.ts';
import { type DoctorCommand, parseDoctorOptions } from './options.ts';
import { isHealthy, reportDocument, reportLines } from './render.ts';

/** Longest time for one call to the store, milliseconds. */
const storeDeadlineMs = 4_000;

/** Runs the command and gives its exit code: 1 where something failed. @throws USAGE or CONFIG_INVALID for flags. */
export async function doctorCommand(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const command = parseDoctorOptions(argv, environment);
  const console = createConsole(environment);
  if (command.kind === 'help') {
    console.print(commandUsage('doctor').trimEnd());
    return 0;
  }
  const { environmentProblems, warnings } = command.options;
  for (const line of [...environmentProblems, ...warnings]) console.say(`flannel-vpc: ${line}`);
  try {
    return await withSession({ get: command.get, operands: [], console, environment }, (session) =>
      runDoctor(command, session),
    );
  } catch (error) {
    if (!isAbortError(error)) throw error;
    console.say('flannel-vpc: interrupted');
    return 1;
  }
}

async function runDoctor({ options }: Extract<DoctorCommand, { kind: 'run' }>, session: Session): Promise<number> {
  const { clock, random, environment, signal, console } = session;
  // What a finding says is not said again by a log line.
  const base = { logger: silentLogger, clock, random };
  const etcd = { ...options.etcd, password: options.etcd.password.reveal() };
  const programs = createPrograms(environment);
  let stores: OpenStores | undefined;
  try {
    const report = await examine(
      {
        ...{ options, programs, clock, logger: base.logger },
        etcd: { ...base, ...etcd },
        kubernetes: options.kubernetes && { ...base, ...options.kubernetes, environment, deadlineMs: storeDeadlineMs },
        async openStores() {
          const about = { ...base, environment, deadlineMs: storeDeadlineMs };
          stores = await openStores(options, about, { isNode: false }, signal);
          return stores;
        },
        openCloud: (netConf) => openCloud(netConf, { ...base, environment }),
        host: createLinuxHost({ ...base, programs }),
      },
      signal,
    );
    await printListing(session, reportDocument(report), () => reportLines(report, console.paint));
    return isHealthy(report) ? 0 : 1;
  } finally {
    await stores?.close();
  }
}
