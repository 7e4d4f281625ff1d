import { expect, test } from '@jest/globals';
import {
  annotationNames,
  missingFrom,
  readAnnotations,
  writeAnnotations,
} from '../../../lease/kubernetes/annotations.ts';
import type { LeaseAttributes } from '../../../lease/lease.ts';
import { ip } from '../../support/addresses.ts';

const names = annotationNames('flannel.alpha.coreos.com');
const onOverlay: LeaseAttributes = {
  publicIps: { 4: ip('10.0.1.7') },
  backendType: 'vxlan',
  backendData: { 4: { VNI: 1, VtepMAC: '0e:5b:84:3c:9f:01' } },
};
const moved: LeaseAttributes = { ...onOverlay, node: { instanceId: 'i-7', movedTo: 'aws-vpc' } };

test('a node that moves keeps flannel’s annotations as they are, and says where to in ours', () => {
  const before = writeAnnotations(onOverlay, {}, names);
  const after = writeAnnotations(moved, before, names);
  expect(missingFrom(before, after)).toEqual({ [names.identity]: '{"instanceId":"i-7","movedTo":"aws-vpc"}' });
  expect(readAnnotations(after, names)).toEqual(moved);
});

test('one that went back says so no more', () => {
  const standing = writeAnnotations(moved, {}, names);
  const back = writeAnnotations(onOverlay, standing, names);
  expect(readAnnotations({ ...standing, ...back }, names).node).toEqual({ instanceId: 'i-7' });
  expect(missingFrom({ ...standing, ...back }, writeAnnotations(onOverlay, { ...standing, ...back }, names))).toEqual(
    {},
  );
});

test('one that never moved writes no annotation of ours, and leaves what others wrote there', () => {
  expect(writeAnnotations(onOverlay, {}, names)).not.toHaveProperty([names.identity]);
  expect(writeAnnotations(onOverlay, { [names.identity]: '{"instanceId":"i-7"}' }, names)).not.toHaveProperty([
    names.identity,
  ]);
});

test.each([
  ['flannel.alpha.coreos.com', 'flannel.alpha.coreos.com/public-ip'],
  ['net.example.org/', 'net.example.org/public-ip'],
  ['net.example.org/gold', 'net.example.org/gold-public-ip'],
  ['net.example.org/gold-', 'net.example.org/gold-public-ip'],
  ['net_1.example-2.org/a_b', 'net_1.example-2.org/a_b-public-ip'],
])('the prefix %j gives %s', (prefix, name) => {
  expect(annotationNames(prefix).publicIp[4]).toBe(name);
});

test.each([
  ['a/b/c', /can contain at most single slash/],
  ['flannel', /must be in a format/],
  ['', /must be in a format/],
  ['example.org/Gold', /must be in a format/],
  ['.org/x', /must be in a format/],
])('the prefix %j is refused in flannel’s words', (prefix, says) => {
  expect(() => annotationNames(prefix)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(says) }),
  );
});
