/** Whether the tables have room, and whether somebody else's controller writes them. */
import type { Check } from '../checks.ts';
import type { Finding } from '../diagnosis.ts';
import type { DiagnosisSubject } from '../provider.ts';
import type { Arm } from './arm.ts';
import { foreignController, routesOf, type Table } from './routes.ts';
import { readTable } from './tables.ts';
import { routeLimit } from './write.ts';

/** More tables are not looked at, one request each. */
const lookedAt = 10;
/** Share of the limit from which on a person should think of it. */
const tight = 0.8;

/** One check for each table. */
export function tableFindings(
  arm: Arm,
  { tables }: DiagnosisSubject,
  besideForeignController: boolean,
  signal: AbortSignal,
): readonly Check[] {
  return tables.slice(0, lookedAt).map(({ id }) => ({
    check: `table ${id}`,
    async run() {
      const { table } = await readTable(arm, id, signal);
      return [judgeRoom(id, table), judgeController(id, table, besideForeignController)];
    },
  }));
}

/** Azure counts both families together. Pure. */
function judgeRoom(id: string, table: Table): Finding {
  const check = `room ${id}`;
  const used = routesOf(table).length;
  const found = `${used} routes of both families; the default limit is ${routeLimit}`;
  if (used < routeLimit * tight) return { check, status: 'ok', found };
  const remedy = 'give node pools subnets with tables of their own, or lease fewer and larger subnets (SubnetLen)';
  return { check, status: 'warning', found, remedy };
}

/** Pure. */
function judgeController(id: string, table: Table, besideForeignController: boolean): Finding {
  const check = `controller ${id}`;
  const sign = foreignController(table);
  if (sign === undefined) return { check, status: 'ok', found: 'no sign of the Azure cloud provider’s' };
  const found = `the Azure cloud provider’s route controller writes this table: ${sign}`;
  if (besideForeignController) {
    return {
      check,
      status: 'warning',
      found,
      remedy: 'one of the two should be off: each may delete the other’s routes',
    };
  }
  const remedy =
    'switch it off (--configure-cloud-routes=false), or give the subnets another table; "ForeignController": true in net-conf writes to it all the same';
  return { check, status: 'failed', found, remedy };
}
