/** The text of a package's licence, from the package itself, or where it brings none from what it says. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const licenceFile = /^(?:licen[cs]e|copying|unlicense|notice)(?:[.-].*)?$/i;
const readmeFile = /^readme(?:\..*)?$/i;

/** The section of a README that is the licence itself, and not only its name. */
const readmeSection = /^(?:#+ *licen[cs]e *|licen[cs]e *\n-+ *)\n(?<text>[\s\S]*?)(?=\n#|(?![\s\S]))/im;

type StandardText = 'Apache-2.0' | 'ISC' | 'MIT';

interface Declared {
  /** Whose standard texts apply: of all licences that the package names, where it names several. */
  readonly licences: readonly StandardText[];
  /** What the package says, and where. */
  readonly says: string;
}

/** Packages of the bundle that bring no text. Looked at one by one: what they say stands in what is handed on. */
export const declared: Readonly<Record<string, Declared>> = {
  '@alicloud/gateway-spi': { licences: ['ISC'], says: 'package.json: ISC; no author' },
  '@alicloud/openapi-core': {
    licences: ['Apache-2.0', 'ISC'],
    says: 'README: Apache-2.0, Copyright (c) 2009-present, Alibaba Cloud All rights reserved.; package.json: ISC',
  },
  '@alicloud/tea-typescript': {
    licences: ['MIT', 'ISC'],
    says: 'README: The MIT license; package.json: ISC, by Jackson Tian',
  },
  '@aws-sdk/credential-provider-http': {
    licences: ['Apache-2.0'],
    says: 'package.json: Apache-2.0, by the AWS SDK for JavaScript Team',
  },
  '@aws-sdk/credential-provider-login': {
    licences: ['Apache-2.0'],
    says: 'package.json: Apache-2.0, by the AWS SDK for JavaScript Team',
  },
  '@aws-sdk/nested-clients': {
    licences: ['Apache-2.0'],
    says: 'package.json: Apache-2.0, by the AWS SDK for JavaScript Team',
  },
  '@darabonba/typescript': {
    licences: ['Apache-2.0'],
    says: 'README: The Apache License 2.0; package.json: Apache License 2.0, by Jackson Tian',
  },
  '@google-cloud/compute': { licences: ['Apache-2.0'], says: 'package.json: Apache-2.0, by Google LLC' },
  httpx: { licences: ['MIT'], says: 'README: The MIT license; package.json: MIT, by Jackson Tian' },
};

/** What the package's own files say, or undefined when they hold no text of a licence. */
export async function ownText(folder: string): Promise<string | undefined> {
  const names = (await readdir(folder)).sort();
  const files = names.filter((name) => licenceFile.test(name));
  if (files.length > 0) {
    const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
    return texts.map(tidy).join('\n\n');
  }
  const readme = names.find((name) => readmeFile.test(name));
  if (readme === undefined) return undefined;
  const section = readmeSection.exec(await readFile(join(folder, readme), 'utf8'))?.groups?.['text'];
  return section !== undefined && /hereby granted/.test(section) ? tidy(section) : undefined;
}

/**
 * The text to hand on with a package.
 *
 * @throws Error with the package's name when there is none.
 */
export async function licenceText(root: string, name: string, folder: string): Promise<string> {
  const own = await ownText(folder);
  if (own !== undefined) return own;
  const said = declared[name];
  if (said === undefined)
    throw new Error(`${name} has no text of its licence: look what it says, and write it into tools/licence-texts.ts`);
  const texts = await Promise.all(said.licences.map((id) => standardText(root, id)));
  return [`The package has no text of its licence. It says:\n${said.says}`, ...texts].join('\n\n');
}

async function standardText(root: string, id: StandardText): Promise<string> {
  // Our own licence is the standard text of Apache's, which names no holder.
  const path = id === 'Apache-2.0' ? 'LICENSE' : `tools/licence-texts/${id}.txt`;
  return `${id}:\n\n${tidy(await readFile(join(root, path), 'utf8'))}`;
}

function tidy(text: string): string {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .replace(/^\n+|\n+$/g, '');
}
