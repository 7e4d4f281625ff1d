/** What the built agent holds in memory while nothing happens, with its lease in Kubernetes. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startAgent } from '../fabric/agent.ts';
import { type EtcdServer, startEtcd } from '../fabric/etcd.ts';
import { type KubeApiserver, startKubeApiserver } from '../fabric/kube-apiserver.ts';
import { rigAddress } from '../fabric/management.ts';
import { createMachine, type Machine, nodesOf } from './machines.ts';

/** What an agent may hold in all. It has 65 MB; Node's own part changes with its version. */
const budgetMegabytes = 100;

let machine: Machine;
let etcd: EtcdServer;
let server: KubeApiserver;

beforeAll(async () => {
  machine = await createMachine('memory', '10.0.0.2');
  etcd = await startEtcd();
  server = await startKubeApiserver({ etcd, host: rigAddress });
});
afterAll(async () => {
  await machine?.remove();
  await server?.stop();
  await etcd?.stop();
});

it('an idle agent of the backend alloc stays within its budget', async () => {
  await nodesOf(server).add('a', '10.244.1.0/24');
  const netConf = JSON.stringify({ Network: '10.244.0.0/16', Backend: { Type: 'alloc' } });
  const file = await machine.write('net-conf.json', netConf);
  const kubernetes = ['--kube-subnet-mgr', `--kubeconfig-file=${server.kubeconfig}`, `--net-config-path=${file}`];
  const agent = startAgent(machine, { args: kubernetes, env: { NODE_NAME: 'a' } });
  await agent.ready();
  await delay(15_000);
  const status = await readFile(`/proc/${agent.process.pid}/status`, 'utf8');
  const resident = Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024;
  expect(resident).toBeGreaterThan(30);
  expect(resident).toBeLessThan(budgetMegabytes);
  await agent.kill();
}, 90_000);
