/** `netconf check`, `get` and `set`. */
import type { NetConfDocument } from '../../lease/lease-store.ts';
import { FlannelVpcError, isFlannelVpcError } from '../core/errors.ts';
import { checkNetConf } from '../netconf/check.ts';
import { type NetConf, parseNetConf } from '../netconf/net-conf.ts';
import { withoutSecretValues } from '../netconf/secrets.ts';
import { netConfByKubectl, refuseOnKubernetes } from './by-kubectl.ts';
import { leasesOutside, netConfChanges } from './net-conf-change.ts';
import type { Session, StoreSession } from './session.ts';

const refused = 2;

/** 0 when an agent would take it, 2 when it has problems. */
export async function checkNetConfCommand({ console, operands, signal }: Session): Promise<number> {
  const report = checkNetConf(await console.read(operands[0] ?? '', signal));
  console.print(...report.lines);
  return report.ok ? 0 : refused;
}

/** Prints what is stored, as it stands but for secrets. @throws NOT_FOUND when nothing is. */
export async function getNetConf(session: StoreSession): Promise<number> {
  const { console, stores, signal } = session;
  refuseOnKubernetes(session, 'netconf get', netConfByKubectl.get);
  const document = await stores.leases.readNetConf(signal);
  if (!document) {
    throw new FlannelVpcError('NOT_FOUND', `no net-conf is stored in ${stores.leases.description}`, {
      hint: 'Store one with "flannel-vpc netconf set FILE", or check --etcd-prefix.',
    });
  }
  const shown = withoutSecretValues(document.text);
  if (shown !== document.text) {
    console.say('warning: secrets are hidden; complete them before "netconf set" stores this again');
  }
  console.print(shown.replace(/\n$/, ''));
  return 0;
}

/** Checks and stores. 2 when it was refused and nothing changed. */
export async function setNetConf(session: StoreSession): Promise<number> {
  const { console, stores, signal, operands } = session;
  refuseOnKubernetes(session, 'netconf set', netConfByKubectl.set);
  const text = await console.read(operands[0] ?? '', signal);
  const parsed = parseNetConf(text);
  if (!parsed.ok) {
    console.say(...checkNetConf(text).lines, 'nothing was changed');
    return refused;
  }
  console.say(...parsed.warnings.map((warning) => `warning: ${warning}`));
  const standing = await stores.leases.readNetConf(signal);
  if (standing?.text === text) {
    console.print('this net-conf is stored already; nothing was changed');
    return 0;
  }
  const outside = leasesOutside(parsed.netConf, (await stores.leases.list(signal)).leases);
  if (outside.length > 0) {
    const shown = `${outside.slice(0, 3).join(' and ')}${outside.length > 3 ? ` and ${outside.length - 3} more` : ''}`;
    console.say(`${session.get.boolean('force') ? 'warning' : 'problem'}: leases that stand do not fit it: ${shown}`);
    if (!session.get.boolean('force')) {
      console.say('Their nodes would lose their routes. --force stores it all the same.', 'nothing was changed');
      return refused;
    }
  }
  try {
    await stores.admin.writeNetConf(text, standing?.revision, signal);
  } catch (error) {
    if (!isFlannelVpcError(error, 'CONFLICT')) throw error;
    console.say(`flannel-vpc: ${error.message}`, ...(error.hint === undefined ? [] : [error.hint]));
    return refused;
  }
  console.print(...written(standing, parsed.netConf));
  return 0;
}

function written(standing: NetConfDocument | undefined, after: NetConf): readonly string[] {
  const before = standing && parseNetConf(standing.text);
  const changes = netConfChanges(before?.ok ? before.netConf : undefined, after);
  const running =
    'Agents that run keep the former values until they are restarted; a controller takes up the new ones.';
  if (!standing) return ['stored; there was none before', ...changes];
  if (!before?.ok) return ['stored; the former one had problems', ...changes];
  if (changes.length === 0) return ['stored; no value in force has changed'];
  return ['stored', ...changes, running];
}
