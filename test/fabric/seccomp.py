"""Starts a program under a filter of system calls, as systemd puts one over a service: seccomp.py SPEC COMMAND...

SPEC is JSON: "allow" (names of system calls), "families" (numbers that socket(2) may be called with).
"""
import ctypes
import errno
import json
import os
import sys

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
EQUAL = 4


class Argument(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def main():
    spec = json.loads(sys.argv[1])
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ERRNO | errno.EPERM))

    def rule(action, name, *arguments):
        number = library.seccomp_syscall_resolve_name(name.encode())
        # Another architecture's.
        if number < 0:
            return
        array = (Argument * len(arguments))(*arguments)
        failed = library.seccomp_rule_add_array(context, action, number, len(arguments), array)
        if failed:
            sys.exit(f"seccomp: {name}: {os.strerror(-failed)}")

    for name in sorted(set(spec["allow"]) - {"socket", "clone3"}):
        rule(ALLOW, name)
    for family in spec["families"]:
        rule(ALLOW, "socket", Argument(0, EQUAL, family, 0))
    # As systemd: its arguments can't be looked at, and a C library falls back to clone(2) then.
    rule(ERRNO | errno.ENOSYS, "clone3")
    failed = library.seccomp_load(context)
    if failed:
        sys.exit(f"seccomp: {os.strerror(-failed)}")
    os.execvp(sys.argv[2], sys.argv[2:])


main()
