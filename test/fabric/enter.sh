#!/bin/sh
# Runs a command in network, mount and process namespaces of its own, so that no link, rule, sysctl, port or /run entry
# of the machine is touched and everything it started ends with it, SIGKILL included.
#   test/fabric/enter.sh COMMAND [ARGUMENT...]
set -eu

fail() {
  echo "enter.sh: $1" >&2
  exit 1
}

if [ "${1:-}" != --inside ]; then
  [ "$#" -gt 0 ] || fail 'usage: test/fabric/enter.sh COMMAND [ARGUMENT...]'
  user=''
  if [ "$(id -u)" -ne 0 ]; then
    unshare --user --map-root-user --net true 2>/dev/null ||
      fail 'needs root, or a kernel that lets users make namespaces: run it as root or through sudo'
    user='--user --map-root-user'
  fi
  # $user is two words or none.
  exec unshare $user --net --mount --pid --fork --kill-child --mount-proc --propagation private -- "$0" --inside "$@"
fi
shift

PATH="$PATH:/usr/sbin:/sbin"
export PATH
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns /run/lock
# The old /sys goes on showing the machine's links.
mount -t sysfs sysfs /sys
ip link set lo up
# Temporary files end with the rest, however it ends. Memory is fine for them: nodes' /run folders, and etcd, whose speed
# must not be the disk's.
if [ -d /dev/shm ]; then
  mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  TMPDIR=/dev/shm
  export TMPDIR
fi

# The shell stays the first process: it collects orphans, and the command keeps the default action of signals, which
# the kernel withholds from a namespace's first process.
FLANNEL_VPC_RIG=1
export FLANNEL_VPC_RIG
status=0
"$@" || status=$?
exit "$status"
