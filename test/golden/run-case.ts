/** Carries out the steps of a recorded case with the program under test. */
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { program } from '../fabric/agent.ts';
import type { Namespace } from '../fabric/namespace.ts';
import { captureNode, toLines } from './capture.ts';
import type { GoldenCase, NodeState, State, Step, StepResult } from './case.ts';
import type { Hub } from './hub.ts';
import type { KubeHub } from './kube-hub.ts';
import { createMachine, type Started, startProgram } from './machine.ts';

/** What happened: as an outcome, with everything each process printed. */
export interface Observed {
  readonly steps: readonly StepResult[];
  readonly states: Readonly<Record<string, State>>;
  readonly printed: Readonly<Record<string, string>>;
  /** `{{RUN}}`, `{{ETCD}}` and the like, as they were in this run. */
  readonly fill: (text: string) => string;
}

const signals = { TERM: 'SIGTERM', INT: 'SIGINT', KILL: 'SIGKILL', HUP: 'SIGHUP' } as const;
const reply = z.object({ status: z.int(), body: z.string() });
/** Node runs this inside the node's namespace. */
const request = `fetch(process.argv[1], { signal: AbortSignal.timeout(3000) })
  .then(async (answer) => console.log(JSON.stringify({ status: answer.status, body: await answer.text() })))`;

/** Runs one case on a hub of its own, and leaves the hub as it was. */
export async function runCase(golden: GoldenCase, hub: Hub): Promise<Observed> {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-golden-'));
  const fill = (text: string): string => hub.fill(text).replaceAll('{{RUN}}', folder);
  const machines = new Map<string, Namespace>();
  const started = new Map<string, Started>();
  const steps: StepResult[] = [];
  const states: Record<string, State> = {};

  function machine(name: string): Namespace {
    const found = machines.get(name);
    if (!found) throw new Error(`${golden.id} has no node ${name}`);
    return found;
  }

  function proc(name: string): Started {
    const found = started.get(name);
    if (!found) throw new Error(`${golden.id} has not started ${name}`);
    return found;
  }

  function kube(): KubeHub {
    if (!hub.kube) throw new Error(`${golden.id} needs an API server`);
    return hub.kube;
  }

  async function capture(): Promise<State> {
    const nodes = await Promise.all(
      [...machines].map(async ([name, each]): Promise<[string, NodeState]> => {
        const last = [...started.values()].findLast(({ node }) => node === name);
        return [name, await captureNode(each, last?.subnetFile)];
      }),
    );
    const store = hub.kube ? { kube: await hub.kube.nodes() } : { etcd: [...(await hub.entries())] };
    return { ...store, nodes: Object.fromEntries(nodes) };
  }

  async function carryOut(step: Step): Promise<void> {
    switch (step.op) {
      case 'etcd_tls':
        return await hub.startTls(step);
      case 'etcd_put':
        return await hub.etcd().put(step.key, step.value, step.ttl ?? undefined);
      case 'etcd_del':
        return await hub.etcd().delete(step.key);
      case 'etcd_compact':
        return await hub.etcd().compact();
      case 'etcd_revoke_all':
        return await hub.revokeAll();
      case 'kube_node':
        return await kube().addNode(step.body);
      case 'kube_patch':
        return await kube().patchNode(step.name, step.body);
      case 'kube_delete':
        return await kube().deleteNode(step.name);
      case 'file': {
        const path = fill(step.path);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, step.text);
        const past = Date.now() / 1000 - 60;
        return await utimes(path, past, past);
      }
      case 'start': {
        const env = Object.fromEntries(Object.entries(step.env).map(([name, value]) => [name, fill(value)]));
        const places = { node: step.node, folder, nodeFolder: join(folder, step.node) };
        started.set(step.proc, startProgram(machine(step.node), { argv: step.argv.map(fill), env, ...places }));
        return;
      }
      case 'wait_ready':
        steps.push({ proc: step.proc, wait_ready: await proc(step.proc).ready(step.timeout, step.settle) });
        return;
      case 'wait_exit': {
        const code = await proc(step.proc).waitForExit(step.timeout);
        const ended =
          code === undefined ? { wait_exit: 'still running' as const } : { wait_exit: 'exited' as const, code };
        steps.push({ proc: step.proc, ...ended });
        return;
      }
      case 'signal': {
        const signal = Object.entries(signals).find(([name]) => name === step.sig)?.[1];
        if (!signal) throw new Error(`${golden.id}: signal ${step.sig} is not known here`);
        return proc(step.proc).process.signal(signal);
      }
      case 'sleep':
        return await delay(step.seconds * 1000);
      case 'sh': {
        const { code, stderr } = await machine(step.node).tryExec(['sh', '-c', fill(step.cmd)]);
        if (step.check && code !== 0) throw new Error(`${golden.id}: ${step.cmd} ended with ${code}: ${stderr}`);
        return;
      }
      case 'http': {
        const answer = await machine(step.node).exec([process.execPath, '-e', request, step.url]);
        steps.push({ http: step.url, ...reply.parse(JSON.parse(answer)) });
        return;
      }
      case 'mkdockeropts': {
        const env = Object.entries(step.env).map(([name, value]) => `${name}=${value}`);
        const argv = ['env', ...env, program, 'docker-opts', ...step.argv.map(fill)];
        const { code, stderr } = await machine(step.node).tryExec(argv);
        const file = await readFile(fill(step.out), 'utf8').catch(() => undefined);
        const says = (stderr.split('\n')[0] ?? '').replace(/^flannel-vpc: /, '');
        steps.push({
          dockerOpts: step.name,
          code: Number(code),
          says,
          file: file === undefined ? null : toLines(file),
        });
        return;
      }
      case 'capture':
        states[step.name] = await capture();
        return;
    }
  }

  try {
    for (const [name, spec] of Object.entries(golden.nodes)) {
      machines.set(name, await createMachine(hub, `${hub.namespace.name}-${name}`, spec, join(folder, name)));
    }
    for (const step of golden.steps) await carryOut(step);
    const printed = Object.fromEntries([...started].map(([name, { process }]) => [name, process.log()]));
    return { steps, states, printed, fill };
  } finally {
    for (const each of machines.values()) await each.remove();
    await hub.wipe();
    await rm(folder, { recursive: true, force: true });
  }
}
