/**
 * Programs on a PATH of their own that can be held, before they change the kernel or before they say that they have: `ip -batch` and
 * iptables' restores. Everything else runs as it is.
 */
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface CommandCall {
  /** The program and the first line of its input, such as `ip link add name cni0 type bridge`. */
  readonly command: string;
  readonly when: 'before' | 'after';
}

export interface CommandGate {
  /** For the program that starts them. */
  readonly env: Readonly<Record<string, string>>;
  /** Holds the first call for which it returns true; those after it run. */
  hold(holds: (call: CommandCall) => boolean): HeldCommand;
  remove(): Promise<void>;
}

export interface HeldCommand {
  /** Resolves with it when it came. */
  readonly came: Promise<CommandCall>;
  /** Lets it go on, and all others. One whose starter has gone does nothing more. */
  release(): void;
}

const programs = ['ip', 'iptables-restore', 'iptables-nft-restore', 'iptables-legacy-restore'];

/**
 * Asks before and after: a numbered question in the folder, which an answer beside it ends. The starter is the agent or a shell of it
 * that repeats a check.
 */
const wrapper = `#!/bin/sh
name=\${0##*/}
for real in /usr/sbin/$name /sbin/$name /usr/bin/$name; do [ -x "$real" ] && break; done
case "$name $*" in
'ip -batch -' | 'ip -force -batch -' | *-restore*) ;;
*) exec "$real" "$@" ;;
esac
input=$(cat)
ask() {
  printf '%s %s %s\\n' "$1" "$name" "$(printf '%s' "$input" | grep -v '^[*:]' | head -n 1)" >"FOLDER/q.$$.$1.part"
  mv "FOLDER/q.$$.$1.part" "FOLDER/q.$$.$1"
  while [ ! -e "FOLDER/a.$$.$1" ]; do
    [ -d "/proc/$PPID" ] || exit 1
    sleep 0.02
  done
}
ask before
printf '%s\\n' "$input" | "$real" "$@"
code=$?
ask after
exit $code
`;

export async function createCommandGate(): Promise<CommandGate> {
  const folder = await mkdtemp(join(tmpdir(), 'flannel-vpc-commands-'));
  const text = wrapper.replaceAll('FOLDER', folder);
  for (const name of programs) {
    await writeFile(join(folder, name), text);
    await chmod(join(folder, name), 0o755);
  }
  let holding:
    | { readonly holds: (call: CommandCall) => boolean; readonly came: (call: CommandCall) => void }
    | undefined;
  const held: string[] = [];
  let removed = false;

  async function answerAll(): Promise<void> {
    for (const name of await readdir(folder)) {
      if (!/^q\.\d+\.(before|after)$/.test(name) || held.includes(name)) continue;
      const question = (await readFile(join(folder, name), 'utf8')).trim();
      await rm(join(folder, name));
      const [when, ...words] = question.split(' ');
      const call: CommandCall = { command: words.join(' '), when: when === 'before' ? 'before' : 'after' };
      if (holding?.holds(call)) {
        held.push(name);
        holding.came(call);
      } else await writeFile(join(folder, name.replace('q', 'a')), '');
    }
  }

  async function turn(): Promise<void> {
    while (!removed) {
      await answerAll();
      await delay(10);
    }
  }
  const turning = turn();

  return {
    env: { PATH: `${folder}:${process.env['PATH'] ?? ''}` },
    hold(holds) {
      const { promise: came, resolve } = Promise.withResolvers<CommandCall>();
      holding = { holds, came: resolve };
      return {
        came,
        release() {
          holding = undefined;
          for (const name of held.splice(0)) void writeFile(join(folder, name.replace('q', 'a')), '');
        },
      };
    },
    async remove() {
      removed = true;
      await turning;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
