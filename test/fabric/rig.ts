/**
 * The private network, mount and process namespaces that `enter.sh` makes. Everything that adds links, rules or sysctls
 * checks that it is inside, so that a test started by hand cannot change the machine.
 */

/** @throws Error with the command to use when this process was not started through `test/fabric/enter.sh`. */
export function assertInRig(): void {
  if (process.env['FLANNEL_VPC_RIG'] !== '1') {
    throw new Error(
      'this needs the private namespaces of the rig: run it by `make test-integration`, `make test-e2e`, or `test/fabric/enter.sh COMMAND`',
    );
  }
}
