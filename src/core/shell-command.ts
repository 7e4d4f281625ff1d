/** Commands that net-conf's author wrote for a shell, as plain data; the host runs them. See ADR 12. */

/** One command. Whatever comes from a lease stands in `environment` and `input`, and never in `text`. */
export interface ShellCommand {
  /** The member of net-conf that it stands in, for messages: the text itself may hold a password. */
  readonly name: string;
  /** For `sh -c`, as net-conf has it. */
  readonly text: string;
  /** Besides PATH, HOME and LC_ALL. */
  readonly environment: Readonly<Record<string, string>>;
  /** Standard input; the host adds a line feed, as flannel does. */
  readonly input: string;
}

/** Most that is read of a command's output, and believed of a peer's `BackendData`, characters. */
export const commandDataLimit = 16_384;
