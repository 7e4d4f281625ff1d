/** The checks of this machine in its cloud, of the tables and of the routes in them. */
import { errorMessage } from '../core/errors.ts';
import { formatIp } from '../core/ip.ts';
import { NotKnown } from './facts.ts';
import { type Finding, failed, ok, warning } from './findings.ts';
import { judgeForeignRoutes, judgeOwnRoutes, judgeQuota } from './judge-routes.ts';
import { judgeTables } from './judge-tables.ts';
import type { Check } from './run-checks.ts';
import { needCloud, type Subject } from './subject.ts';

/** In the order they are shown. A backend without a cloud has one line that says so. */
export function cloudChecks(subject: Subject): readonly Check[] {
  const withCloud = (check: Check): Check => ({ ...check, run: (signal) => onlyWithCloud(subject, check, signal) });
  return [
    {
      ...{ group: 'cloud', unless: 'failed', name: 'cloud' },
      async run() {
        const open = await subject.cloud.read();
        return open ? [] : [ok('cloud', 'the backend uses none')];
      },
    },
    ...asked(subject).map(withCloud),
  ];
}

function asked(subject: Subject): readonly Check[] {
  const cloud = { group: 'cloud', unless: 'failed' } as const;
  return [
    { ...cloud, name: 'metadata server', run: () => metadata(subject) },
    { ...cloud, name: 'network interface', run: () => networkInterface(subject) },
    { ...cloud, name: 'tables', run: (signal) => tables(subject, signal) },
    { ...cloud, name: 'rights', run: (signal) => diagnosis(subject, signal) },
    { group: 'routes', unless: 'failed', name: 'routes', run: () => ownRoutes(subject) },
    { group: 'routes', unless: 'warning', name: 'quota', run: () => quota(subject) },
    { group: 'routes', unless: 'warning', name: 'foreign routes', run: (signal) => foreignRoutes(subject, signal) },
  ];
}

/** Nothing is said of a cloud that is not there; and where nodes need no rights, that they have none is no failure. */
async function onlyWithCloud(subject: Subject, check: Check, signal: AbortSignal): Promise<readonly Finding[]> {
  if (!(await subject.cloud.need())) return [];
  const { backend } = await subject.netConf.need();
  try {
    return await check.run(signal);
  } catch (error) {
    if (backend.writer === 'node' || check.name === 'metadata server' || signal.aborted) throw error;
    if (error instanceof NotKnown) throw error;
    return [
      warning(
        check.name,
        `not checked: ${errorMessage(error)}`,
        'The controller writes the routes, so this node needs no rights. See "flannel-vpc status" where there are rights to read.',
      ),
    ];
  }
}

async function metadata(subject: Subject): Promise<readonly Finding[]> {
  const { identity, nic, address } = await subject.machine.read();
  const where = identity.zone === undefined ? '' : ` in ${identity.zone}`;
  const answer = ok('metadata server', `this is ${identity.instanceId}${where}`);
  if (nic)
    return [
      answer,
      ok('interface address', `${formatIp(address)} is on ${nic.nicId} in ${nic.subnetId ?? 'an unnamed subnet'}`),
    ];
  const remedy = 'Choose the interface with --iface, or give one of its private addresses with --public-ip.';
  return [
    answer,
    warning(
      'interface address',
      `${formatIp(address)} is on no network interface that the metadata server shows`,
      remedy,
    ),
  ];
}

async function networkInterface(subject: Subject): Promise<readonly Finding[]> {
  const nextHop = await subject.nextHop.read();
  const found = ok('network interface', `${nextHop.nicId} has the lease's address, as the cloud says`);
  const { backend } = await subject.netConf.need();
  // Where this machine needs rights, the provider's own diagnosis tells it, with the right that is needed.
  if (nextHop.forwards || backend.writer === 'node') return [found];
  const { forwarding } = (await needCloud(subject.cloud)).provider.capabilities;
  const remedy = forwarding.settable
    ? `The controller switches it ${forwarding.wanted}, if it may: see its log.`
    : `Nothing but a person can switch it ${forwarding.wanted}: see the cloud’s page in docs/.`;
  return [
    found,
    failed(
      forwarding.name,
      `is ${forwarding.wanted === 'off' ? 'on' : 'off'} for ${nextHop.nicId}: the cloud drops what pods send and get`,
      remedy,
    ),
  ];
}

async function tables(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const { provider, tableIds, tag } = await needCloud(subject.cloud);
  const [written, { nic }, subnetIds] = await Promise.all([
    subject.tables.read(),
    subject.machine.need(),
    subject.nodeSubnets.need(),
  ]);
  // A role may be allowed to see the named tables only; then which serve the nodes is not known.
  const serving = await provider
    .tables({ tableIds: [], networkId: nic?.networkId, subnetIds }, signal)
    .catch((): undefined => undefined);
  signal.throwIfAborted();
  return judgeTables({ tableIds, tag, tables: written, serving, subnetIds });
}

/** What the cloud's own provider finds: rights, ranges, filters. What it rests on may be missing. */
async function diagnosis(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const { provider } = await needCloud(subject.cloud);
  const { backend } = await subject.netConf.need();
  const [nextHop, tables, machine] = await Promise.all([
    subject.nextHop.need().catch(() => undefined),
    subject.tables.need().catch(() => []),
    subject.machine.need().catch(() => undefined),
  ]);
  const networkId = nextHop?.networkId ?? machine?.nic?.networkId;
  const needs = backend.writer === 'node' ? 'write' : 'none';
  return await provider.diagnose(
    { networks: await subject.networks.need(), nextHop, tables, networkId, needs },
    signal,
  );
}

async function ownRoutes(subject: Subject): Promise<readonly Finding[]> {
  const [{ own }, nextHop, tables, { backend }] = await Promise.all([
    subject.ownLease.need(),
    subject.nextHop.need(),
    subject.tables.need(),
    subject.netConf.need(),
  ]);
  if (own.length === 0)
    return [failed('routes', 'none can stand: this node has no lease', 'Mend what is said of the lease first.')];
  return judgeOwnRoutes({ subnets: await subject.subnets.need(), nextHop, tables, writer: backend.writer });
}

async function quota(subject: Subject): Promise<readonly Finding[]> {
  const { provider } = await needCloud(subject.cloud);
  const { families } = await subject.netConf.need();
  return judgeQuota(await subject.tables.need(), provider.capabilities.defaultRouteLimit, families);
}

async function foreignRoutes(subject: Subject, signal: AbortSignal): Promise<readonly Finding[]> {
  const [networks, tables, { list }, records] = await Promise.all([
    subject.networks.need(),
    subject.tables.need(),
    subject.ownLease.need(),
    subject.records(signal),
  ]);
  return judgeForeignRoutes({ networks, tables, leases: list.leases, records });
}
