/** The checks of the store, of what stands in it, and of net-conf. */
import { examineEndpoints, tryReading, tryWriting } from '../../lease/etcd/examine.ts';
import { leaseKey, subnetsOf } from '../../lease/lease-key.ts';
import { previousSubnets } from '../agent/node-state.ts';
import { ok } from './findings.ts';
import { judgeRouteControllers, judgeServer } from './judge-cluster.ts';
import { judgeNetConf } from './judge-net-conf.ts';
import { judgeLeader, judgeNodeWriters, judgeReport } from './judge-report.ts';
import { judgeEndpoints, judgeLease } from './judge-store.ts';
import type { Check } from './run-checks.ts';
import type { Subject } from './subject.ts';

/** In the order they are shown. */
export function storeChecks(subject: Subject): readonly Check[] {
  const { options, kubernetes } = subject.parts;
  const store = { group: 'store', unless: 'failed' } as const;
  return [
    ...(kubernetes ? clusterChecks(subject) : etcdChecks(subject)),
    {
      ...store,
      name: 'lease',
      async run() {
        const [{ own, list }, file] = await Promise.all([subject.ownLease.read(), subject.file.need()]);
        const named = subnetsOf(previousSubnets(file));
        return [judgeLease({ own, all: list.leases, file: named, subnetFile: options.subnetFile })];
      },
    },
    {
      ...{ group: 'store', unless: 'warning', name: 'controller' },
      async run(signal) {
        // Without a cloud there is nothing for one to write.
        const cloud = await subject.cloud.need();
        if (!cloud) return [];
        const { backend } = await subject.netConf.need();
        const leader = judgeLeader(backend.writer, await subject.leader(signal));
        const most = cloud.provider.capabilities.mostNodeWriters;
        if (backend.writer === 'controller' || most === undefined) return [leader];
        return [leader, judgeNodeWriters((await subject.ownLease.need()).list.leases.length, most)];
      },
    },
    {
      ...{ group: 'store', unless: 'warning', name: 'node report' },
      async run(signal) {
        // Without a cloud an agent tells nothing: it has no routes that could fail.
        if (!(await subject.cloud.need())) return [];
        const { own } = await subject.ownLease.need();
        const [lease] = own;
        if (!lease) return [];
        return [judgeReport((await subject.reports(signal)).get(leaseKey(lease.subnets)))];
      },
    },
  ];
}

function etcdChecks({ parts: { etcd } }: Subject): readonly Check[] {
  const store = { group: 'store', unless: 'failed' } as const;
  return [
    {
      ...store,
      name: 'endpoints',
      run: async (signal) => judgeEndpoints(await examineEndpoints(etcd, signal)),
    },
    {
      ...store,
      name: 'store readable',
      async run(signal) {
        await tryReading(etcd, signal);
        return [ok('store readable', `net-conf, leases and reports below ${etcd.prefix}`)];
      },
    },
    {
      ...store,
      name: 'store writable',
      async run(signal) {
        await tryWriting(etcd, signal);
        return [ok('store writable', `leases and reports below ${etcd.prefix}, by a transaction that changes nothing`)];
      },
    },
  ];
}

function clusterChecks({ cluster }: Subject): readonly Check[] {
  return [
    { ...{ group: 'store', unless: 'failed', name: 'API server' }, run: async () => judgeServer(await cluster.read()) },
    {
      ...{ group: 'store', unless: 'warning', name: 'route controller of Kubernetes' },
      run: async () => judgeRouteControllers(await cluster.need()),
    },
  ];
}

export function netConfChecks(subject: Subject): readonly Check[] {
  return [
    {
      ...{ group: 'net-conf', name: 'net-conf', unless: 'failed' },
      async run() {
        const { etcd, kubernetes, options } = subject.parts;
        const place = kubernetes ? (options.kubernetes?.netConfFile ?? '') : etcd.prefix;
        return judgeNetConf(await subject.document.read(), place, { anyLength: kubernetes !== undefined });
      },
    },
  ];
}
