/** The extension part of net-conf's `Backend`: flannel's four commands (its `Documentation/extension.md`). */
import * as z from 'zod';

/** Commands for `sh`; undefined where net-conf has none, or an empty one, which flannel takes for none. */
export interface ExtensionConfig {
  readonly preStartup: string | undefined;
  readonly postStartup: string | undefined;
  readonly subnetAdd: string | undefined;
  readonly subnetRemove: string | undefined;
}

export const extensionMembers = [
  ...['PreStartupCommand', 'PostStartupCommand', 'SubnetAddCommand', 'SubnetRemoveCommand'],
] as const;

/** Bytes. Linux takes no argument of 128 KiB or more (`MAX_ARG_STRLEN`). */
const longest = 65_536;
const allowed = { error: `a command for sh, at most ${longest} bytes` };

const command = z
  .string(allowed)
  .refine((text) => Buffer.byteLength(text) <= longest && !text.includes('\0'), allowed)
  .nullish();

/** The members are named as in net-conf; the caller has already matched them without regard to case. */
export const extensionSchema = z
  .object({
    PreStartupCommand: command,
    PostStartupCommand: command,
    SubnetAddCommand: command,
    SubnetRemoveCommand: command,
  })
  .transform(
    ({ PreStartupCommand, PostStartupCommand, SubnetAddCommand, SubnetRemoveCommand }): ExtensionConfig => ({
      preStartup: PreStartupCommand || undefined,
      postStartup: PostStartupCommand || undefined,
      subnetAdd: SubnetAddCommand || undefined,
      subnetRemove: SubnetRemoveCommand || undefined,
    }),
  );
