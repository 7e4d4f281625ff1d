/**
 * Standard output that is a file: what was asked for is in it whole, or the command has failed. Node drops what a full disk does not take, and
 * `netconf get >FILE` would leave half a net-conf behind an exit code of 0.
 */
import { fstatSync, writeSync } from 'node:fs';
import { errorMessage, FlannelVpcError } from './core/errors.ts';

const standardOutput = 1;

export interface WholeOutput {
  /** HOST_COMMAND_FAILED once something could not be written. */
  readonly failure: () => FlannelVpcError | undefined;
}

/** Watches over this process's standard output. Pipes and terminals are left to Node, which waits for them. */
export function wholeOutput(): WholeOutput {
  let failed: FlannelVpcError | undefined;
  if (isFile()) {
    process.stdout._write = (chunk: Buffer, _encoding, done) => {
      try {
        for (let at = 0; at < chunk.length; ) at += writeSync(standardOutput, chunk, at);
      } catch (error) {
        failed ??= notWritten(error);
      }
      // What else the command does, such as writing routes, does not depend on who reads of it.
      done();
    };
  }
  return { failure: () => failed };
}

/** Devices such as /dev/full are written to as files are. `process.stdout` is made when it is asked for, which most agents never do. */
function isFile(): boolean {
  const found = fstatSync(standardOutput);
  return found.isFile() || (found.isCharacterDevice() && !process.stdout.isTTY);
}

function notWritten(cause: unknown): FlannelVpcError {
  return new FlannelVpcError('HOST_COMMAND_FAILED', `can't write standard output: ${errorMessage(cause)}`, {
    hint: 'What stands there is not all of it: make room, or write elsewhere.',
    cause,
  });
}
