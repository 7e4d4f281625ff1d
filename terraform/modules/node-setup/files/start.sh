#!/bin/sh
# Once, at the machine's first start: the program, and then the units that are named. Nothing is started that was not installed.
#   flannel-vpc-start [etcd] [controller] [agent]
set -eu

# etcd's package started it with settings of its own. Then net-conf is stored; 1 is an etcd that does not answer yet.
start_etcd() {
  systemctl enable etcd.service
  systemctl restart etcd.service
  set -a
  . /etc/flannel-vpc/etcd-client.env
  set +a
  for _ in $(seq 60); do
    code=0
    /opt/flannel-vpc/bin/flannel-vpc netconf set /etc/flannel-vpc/net-conf.json || code=$?
    [ "$code" -eq 1 ] || break
    sleep 3
  done
  return "$code"
}

/usr/local/sbin/flannel-vpc-install
systemctl daemon-reload
for name in "$@"; do
  case "$name" in
    etcd) start_etcd ;;
    # Ready when the cluster is, which is not waited for here.
    controller | agent) systemctl enable --now --no-block "flannel-vpc-$name.service" ;;
  esac
done
