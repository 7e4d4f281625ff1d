/** What doctor makes of a Kubernetes cluster's answers. */
import { expect, it } from '@jest/globals';
import type { ClusterExam } from '../../../lease/kubernetes/examine.ts';
import { judgeRouteControllers, judgeServer } from '../../../src/doctor/judge-cluster.ts';

const well: ClusterExam = {
  ...{ server: 'https://10.96.0.1', latencyMs: 3.2, storeId: 'uid', nodes: 3, mayPatchNodes: true },
  ...{ routedByOthers: [], managers: [] },
};

it('says of a server that answers how fast, and which cluster it is', () => {
  expect(judgeServer(well)).toMatchObject([
    { check: 'API server https://10.96.0.1', status: 'ok', found: 'answers in 4 ms; 3 nodes, cluster uid' },
    { check: 'store writable', status: 'ok' },
  ]);
});

it('warns of a slow one, and fails where nothing may be said of nodes', () => {
  expect(judgeServer({ ...well, latencyMs: 700, mayPatchNodes: false }).map(({ status }) => status)).toEqual([
    'warning',
    'failed',
  ]);
});

it('warns of nodes that a route controller of Kubernetes has spoken for, and names who runs', () => {
  const managers = [{ name: 'cloud-controller-manager', holder: 'm1' }];
  const [both] = judgeRouteControllers({ ...well, routedByOthers: ['a', 'b'], managers });
  expect(both).toMatchObject({
    status: 'warning',
    found: '2 nodes have NetworkUnavailable set by one: a, b; here runs cloud-controller-manager (led by m1)',
  });
  const [unread] = judgeRouteControllers({ ...well, routedByOthers: ['a'], managers: undefined });
  expect(unread?.status).toBe('warning');
});

it('is content with a manager that shows no route controller, and says what it must be told', () => {
  const [finding] = judgeRouteControllers({ ...well, managers: [{ name: 'cloud-controller-manager', holder: 'm1' }] });
  expect(finding).toMatchObject({ status: 'ok', found: expect.stringContaining('--configure-cloud-routes=false') });
  expect(judgeRouteControllers({ ...well, managers: undefined })[0]).toMatchObject({
    ...{ status: 'ok', found: expect.stringContaining('can’t be read') },
  });
});
