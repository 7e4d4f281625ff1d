/** What no compiler and no linter looks for: tests left alone or out, paths of one machine, work left to do, files that were built. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

interface Rule {
  readonly says: string;
  readonly pattern: RegExp;
  /** Files the rule is about; all when absent. */
  readonly files?: RegExp;
  readonly except?: RegExp;
}

// Written so that no pattern matches its own text.
const rules: readonly Rule[] = [
  {
    says: 'a test that runs alone, is skipped or is to do',
    pattern:
      /\b(?:describe|it|test)(?:\.(?:each|failing|concurrent))*\.(?:only|skip|todo)\b|\b[fx](?:it|test|describe)\(/,
    files: /^test\/.*\.ts$/,
  },
  {
    says: 'a folder beside the project, which stands alone',
    pattern: /\.\.\/shared\b/,
    except: /^\.ci\/run$/,
  },
  {
    says: 'a path of one machine',
    pattern: /(?:^|[^\w.$}-])\/(?:work|root|farm)\//,
  },
  {
    says: 'work left to do',
    pattern: /\b(?:T[O]DO|FIX[M]E|X[X]X)\b|not (?:yet )?implement[e]d/,
    files: /^(?:src|lease|providers|host|test|tools|terraform|deploy)\//,
    except: /^test\/golden\/|requirements\.txt$/,
  },
  { says: 'a merge left half done', pattern: /^(?:<{7}|>{7}|={7})(?: |$)/ },
  { says: 'a registry’s address in a lockfile', pattern: /"resolved": "https?:/, files: /package-lock\.json$/ },
];

/** Every line of a file that breaks a rule, as `path:line: what it is`. */
export function findings(path: string, content: string): readonly string[] {
  const applicable = rules.filter((rule) => (rule.files?.test(path) ?? true) && !(rule.except?.test(path) ?? false));
  return content
    .split('\n')
    .flatMap((line, index) =>
      applicable.filter((rule) => rule.pattern.test(line)).map((rule) => `${path}:${index + 1}: ${rule.says}`),
    );
}

/** Text files of the tree that git has or would add. */
export async function projectFiles(root: string): Promise<readonly string[]> {
  const { stdout } = await run('git', ['ls-files', '-coz', '--exclude-standard'], { cwd: root, maxBuffer: 64 << 20 });
  return stdout.split('\0').filter((path) => path !== '' && !/\.(?:png|svg|gif|ico|gz|pem)$/.test(path));
}

/** Files that git has though .gitignore names them: what a build makes, added by force, is of one machine and never what the next build makes. */
async function ignoredFiles(root: string): Promise<readonly string[]> {
  const { stdout } = await run('git', ['ls-files', '-ciz', '--exclude-per-directory=.gitignore'], {
    cwd: root,
    maxBuffer: 64 << 20,
  });
  return stdout.split('\0').filter((path) => path !== '');
}

/** All findings in the tree. */
export async function checkTree(root: string): Promise<readonly string[]> {
  const found = (await ignoredFiles(root)).map((path) => `${path}: git has it, and .gitignore says that it should not`);
  for (const path of await projectFiles(root)) {
    // A file may be deleted and not yet committed so.
    const content = await readFile(join(root, path), 'utf8').catch(() => '');
    found.push(...findings(path, content));
  }
  return found;
}
