/**
 * Runs recorded cases by hand, with the differences in full:
 *
 *   test/fabric/enter.sh node test/golden/main.ts [REGULAR-EXPRESSION] [--log] [--lanes N] [--kubernetes]
 *
 * `FLANNEL_VPC_PROGRAM` names another program than bin/flannel-vpc.
 */
import { AssertionError, deepStrictEqual } from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { assertInRig } from '../fabric/rig.ts';
import { expectedOutcome, readCases, readWanted } from './case.ts';
import { compare } from './compare.ts';
import { startLanes } from './lanes.ts';

assertInRig();
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    log: { type: 'boolean', default: false },
    lanes: { type: 'string', default: '5' },
    kubernetes: { type: 'boolean', default: false },
  },
});
const pattern = new RegExp(positionals[0] ?? '');
const store = values.kubernetes ? 'kubernetes' : 'etcd';
const cases = readCases(store).filter(({ id }) => pattern.test(id));
const wanted = readWanted();
const lanes = startLanes(cases, {
  store,
  lanes: Number(values.lanes),
  onDone: ({ id, done, of }) => console.error(`${done}/${of} ${id}`),
});
let different = 0;
try {
  for (const golden of cases) {
    const run = await lanes.result(golden.id);
    const { expected, observed } = compare(golden, expectedOutcome(golden.recorded, wanted.get(golden.id)), run);
    try {
      deepStrictEqual(observed, expected);
      console.log(`ok   ${golden.id} ${golden.title}`);
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
      different += 1;
      console.log(`DIFF ${golden.id} ${golden.title}\n${error.message}`);
    }
    if (values.log) for (const [name, text] of Object.entries(run.printed)) console.log(`-- ${name} printed\n${text}`);
  }
} finally {
  await lanes.stop();
}
console.log(`${cases.length - different} as expected, ${different} not`);
process.exitCode = different === 0 && cases.length > 0 ? 0 : 1;
