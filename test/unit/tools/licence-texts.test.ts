/** Where the text of a licence is found, and that none is missing among what may ship. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { declared, licenceText, ownText } from '../../../tools/licence-texts.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const mit = 'Permission is hereby granted, free of charge';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-licence-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function file(name: string, content: string): Promise<void> {
  await writeFile(join(folder, name), content);
}

describe('the text of a licence', () => {
  it.each(['LICENSE', 'License.md', 'LICENCE.txt', 'COPYING', 'LICENSE-MIT'])('is in %s', async (name) => {
    await file(name, `\r\n${mit}  \r\n`);

    expect(await ownText(folder)).toBe(mit);
  });

  it('has the notice that is to go with it', async () => {
    await file('LICENSE', 'the licence');
    await file('NOTICE.txt', 'the notice');

    expect(await ownText(folder)).toBe('the licence\n\nthe notice');
  });

  it('is in the README, where that has more than its name', async () => {
    await file('README.md', `# x\n\nLicense\n-------\n\n(The MIT License)\n\n${mit} &lt;a@b&gt;\n\n# After\n`);
    expect(await ownText(folder)).toBe(`(The MIT License)\n\n${mit} <a@b>`);

    await file('README.md', '# x\n\n## License\n\nMIT\n');
    expect(await ownText(folder)).toBeUndefined();
  });

  it('is missed by the name of the package, when it is nowhere', async () => {
    await file('README.md', '# x');
    await expect(licenceText(root, 'some-package', folder)).rejects.toThrow('some-package');
  });

  it('is the standard one with what the package says, where somebody has looked', async () => {
    const text = await licenceText(root, 'httpx', folder);

    expect(text).toContain('by Jackson Tian');
    expect(text).toContain(mit);
    expect(await licenceText(root, '@google-cloud/compute', folder)).toContain(
      (await readFile(join(root, 'LICENSE'), 'utf8')).trim(),
    );
  });

  it('is written for no package that brings its own', async () => {
    const withText: string[] = [];
    for (const name of Object.keys(declared)) {
      if ((await ownText(join(root, 'node_modules', name))) !== undefined) withText.push(name);
    }
    expect(Object.keys(declared).length).toBeGreaterThan(0);
    expect(withText).toEqual([]);
  });
});
