import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { lstat, mkdtemp, open, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { writeAtomically } from '../../../host/atomic-file.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atomic-file-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('leaves a device where it is', async () => {
  const path = join(folder, 'null');
  await symlink('/dev/null', path);

  await writeAtomically(path, 'text', '.null.new');

  expect(await readlink(path)).toBe('/dev/null');
  expect(await readdir(folder)).toEqual(['null']);
});

it('does not wait for somebody to read a pipe, and writes to one that is read', async () => {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);

  await expect(writeAtomically(path, 'text', '.pipe.new')).rejects.toMatchObject({ code: 'ENXIO' });

  const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  await writeAtomically(path, 'text', '.pipe.new');
  expect((await reader.read()).buffer.subarray(0, 4).toString()).toBe('text');
  await reader.close();
  expect(await readdir(folder)).toEqual(['pipe']);
});

it('puts a file in the place of a link to one, whose target stays', async () => {
  const path = join(folder, 'link');
  const target = join(folder, 'target');
  await writeFile(target, 'of somebody else');
  await symlink(target, path);

  await writeAtomically(path, 'ours', '.link.new');

  expect((await lstat(path)).isFile()).toBe(true);
  expect(await readFile(path, 'utf8')).toBe('ours');
  expect(await readFile(target, 'utf8')).toBe('of somebody else');
});
