/** Instance ids in Nodes' providerID, in the forms that the clouds' controller managers write. */
import { expect, it } from '@jest/globals';
import { instanceIdOfProviderId } from '../../../lease/kubernetes/provider-id.ts';

const azure = 'azure:///subscriptions/0f1e/resourceGroups/My-Group/providers/Microsoft.Compute';

it.each([
  ['aws:///eu-west-1a/i-0abc', 'i-0abc'],
  ['gce://prj-1/europe-west1-b/node-1', 'europe-west1-b/node-1'],
  ['alicloud://cn-hangzhou.i-bp1abc', 'i-bp1abc'],
  [`${azure}/virtualMachines/Node-1`, '0f1e/my-group/node-1'],
  [`${azure}/virtualMachineScaleSets/Pool/virtualMachines/7`, '0f1e/my-group/pool/7'],
  ['aws:///eu-west-1a/fargate-10.0.0.1', undefined],
  ['gce://prj-1/node-1', undefined],
  ['kind://docker/kind/node', undefined],
  ['i-0abc', undefined],
  ['', undefined],
])('%s names %s', (text, id) => {
  expect(instanceIdOfProviderId(text)).toBe(id);
});
