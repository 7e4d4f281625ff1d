/**
 * Copies recorded cases of the real flannel into test/golden/cases, one file each:
 *
 *   node tools/golden-copy.ts [--check] DIR
 *
 * DIR has one folder per recording: `case.json` (inputs and judgement) and `expected/` (results and state). Left out are what
 * this program has no part in, and log lines, but for the reason why a net-conf is refused. With --check nothing is written;
 * what differs is named, and the exit code is 1.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as z from 'zod';
import { toLines } from '../test/golden/capture.ts';
import {
  casesFolder,
  type EtcdEntry,
  type GoldenCase,
  goldenCaseSchema,
  kubeNodesSchema,
  type NodeState,
  type State,
} from '../test/golden/case.ts';

/** Groups of cases that are held against this program. */
const groups = [
  'config',
  'flags',
  'lease',
  'etcd',
  'iface',
  'alloc',
  'health',
  'rules',
  'blackhole',
  'hostgw',
  'kube',
  'vxlan',
  'docker',
];
/** Cases of those groups that need what is not built yet, or a stand-in that is not the project's; test/golden/README.md says which. */
const leftOut = ['kube-40', 'kube-42'];

const widthOfLines = 120;

const recordedCase = z.object({
  ...{ id: z.string(), title: z.string(), group: z.string(), judgement: z.unknown() },
  ...{
    nodes: z.record(z.string(), z.unknown()),
    steps: z.array(z.looseObject({ op: z.string() })),
    pool: z.unknown().optional(),
  },
});
const recordedOutcome = z.object({
  steps: z.array(z.unknown()),
  warnings_and_errors: z.record(z.string(), z.array(z.string())),
});
const recordedEtcd = z.array(
  z.object({
    ...{ key: z.string(), value: z.string(), version: z.int() },
    lease: z.object({ granted_ttl: z.int(), remaining_is_full: z.boolean() }).nullable(),
  }),
);

const recordedDockerOpts = z.object({ exit_code: z.int(), stderr: z.string(), out_file: z.string().nullish() });

/** The case in a recording's folder; undefined when it is of no group we copy. */
function readRecording(folder: string): GoldenCase | undefined {
  const recording = recordedCase.parse(readJson(join(folder, 'case.json')));
  if (!groups.includes(recording.group) || leftOut.includes(recording.id)) return undefined;
  const results = recordedOutcome.parse(readJson(join(folder, 'expected/outcome.json')));
  const dockerOpts = recording.steps.flatMap((step) =>
    step.op === 'mkdockeropts' ? readDockerOpts(folder, String(step['name'])) : [],
  );
  const captures = readdirSync(join(folder, 'expected'), { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !existsSync(join(folder, 'expected', entry.name, 'mkdockeropts.json')),
  );
  const states = captures.map(({ name }): [string, State] => {
    const capture = join(folder, 'expected', name);
    const nodes = Object.keys(recording.nodes).map((node): [string, NodeState] => [
      node,
      readNode(join(capture, node)),
    ]);
    const etcd = join(capture, 'etcd.json');
    const kube = join(capture, 'kube-nodes.json');
    return [
      name,
      {
        ...(existsSync(etcd) ? { etcd: readEtcd(etcd) } : {}),
        ...(existsSync(kube) ? { kube: kubeNodesSchema.parse(readJson(kube)) } : {}),
        nodes: Object.fromEntries(nodes),
      },
    ];
  });
  return goldenCaseSchema.parse({
    ...recording,
    // Which requests are sent is free; what they leave is not.
    steps: recording.steps.filter(({ op }) => op !== 'kube_requests'),
    recorded: {
      steps: [...results.steps, ...dockerOpts],
      says: recording.group === 'config' ? reasons(results.warnings_and_errors) : {},
      states: Object.fromEntries(states),
    },
  });
}

/** What mk-docker-opts.sh did: all of its cases have one call, after all waits. */
function readDockerOpts(folder: string, name: string): object {
  const { exit_code, stderr, out_file } = recordedDockerOpts.parse(
    readJson(join(folder, 'expected', name, 'mkdockeropts.json')),
  );
  const file = typeof out_file === 'string' ? toLines(out_file) : null;
  return { dockerOpts: name, code: exit_code, says: stderr.split('\n')[0], file };
}

/** Flannel's reasons for refusing a net-conf, without what it says in front of each. */
function reasons(logs: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  const prefix = /^E (?:Couldn't fetch network config: |Error fetching backend: )?/;
  const found = Object.entries(logs).map(([name, lines]): [string, string[]] => [
    name,
    lines.filter((line) => line.startsWith('E ')).map((line) => line.replace(prefix, '').trim()),
  ]);
  return Object.fromEntries(found.filter(([, texts]) => texts.length > 0));
}

function readEtcd(path: string): EtcdEntry[] {
  return recordedEtcd.parse(readJson(path)).map(({ key, value, version, lease }) => ({
    ...{ key, value, version },
    lease: lease && { ttl: lease.granted_ttl, full: lease.remaining_is_full },
  }));
}

function readNode(folder: string): NodeState {
  const files = {
    'subnet.env': 'subnet.env',
    iptables: 'iptables-save.txt',
    ip6tables: 'ip6tables-save.txt',
    nft: 'nft.txt',
  } as const;
  const texts = Object.entries(files)
    .filter(([, file]) => existsSync(join(folder, file)))
    .map(([member, file]) => [member, toLines(readFileSync(join(folder, file), 'utf8'))]);
  return {
    ...Object.fromEntries(texts),
    net: z.record(z.string(), z.unknown()).parse(readJson(join(folder, 'net.json'))),
  };
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** JSON with everything on one line that fits there. */
function format(value: unknown, indent = '', before = 0): string {
  const flat = JSON.stringify(value, null, 1).replace(/\n\s*/g, ' ');
  if (typeof value !== 'object' || value === null || indent.length + before + flat.length < widthOfLines) return flat;
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    return `[\n${value.map((each) => `${inner}${format(each, inner)}`).join(',\n')}\n${indent}]`;
  }
  const members = Object.entries(value).map(([name, each]) => {
    const label = `${JSON.stringify(name)}: `;
    return `${inner}${label}${format(each, inner, label.length)}`;
  });
  return `{\n${members.join(',\n')}\n${indent}}`;
}

/** Texts of all case files to be, by name. */
function copies(folder: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const name of readdirSync(folder).filter((each) => existsSync(join(folder, each, 'case.json')))) {
    const golden = readRecording(join(folder, name));
    if (golden) files.set(`${golden.id}.json`, `${format(golden)}\n`);
  }
  return files;
}

function main(argv: readonly string[]): number {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { check: { type: 'boolean', default: false } },
  });
  const [folder] = positionals;
  if (folder === undefined || positionals.length > 1) {
    console.error('usage: node tools/golden-copy.ts [--check] DIR');
    return 2;
  }
  const files = copies(folder);
  if (files.size === 0) {
    console.error(`no recorded case in ${folder}`);
    return 1;
  }
  const here = new Set(readdirSync(casesFolder).filter((name) => name.endsWith('.json')));
  const stale = [...files].filter(
    ([name, text]) => !here.has(name) || readFileSync(join(casesFolder, name), 'utf8') !== text,
  );
  const gone = [...here].filter((name) => !files.has(name));
  if (values.check) {
    for (const [name] of stale) console.log(`${name}: ${here.has(name) ? 'differs' : 'not copied'}`);
    for (const name of gone) console.log(`${name}: no longer recorded`);
    return stale.length + gone.length === 0 ? 0 : 1;
  }
  for (const [name, text] of stale) writeFileSync(join(casesFolder, name), text);
  for (const name of gone) rmSync(join(casesFolder, name));
  console.log(`${files.size} cases, ${stale.length} written, ${gone.length} removed`);
  return 0;
}

process.exitCode = main(process.argv.slice(2));
