# What cloud-init puts on one machine. No provider and no resource: the clouds' modules hand `user_data` to their instances.

locals {
  agent      = contains(var.runs, "agent")
  controller = contains(var.runs, "controller")
  etcd       = contains(var.runs, "etcd")
  kubernetes = var.store.type == "kubernetes"

  # Not by conditions that give whole objects: their members would all become text.
  net_conf = jsonencode({ for name, value in {
    Network     = var.network
    EnableIPv4  = var.network == null ? false : null
    EnableIPv6  = var.ipv6_network == null ? null : true
    IPv6Network = var.ipv6_network
    SubnetLen   = var.subnet_len
    Backend     = merge({ Type = var.backend_type, Writer = var.writer }, var.backend)
  } : name => value if value != null })

  # As the programs are told of their store, in their own environment files.
  store_env = local.kubernetes ? {
    FLANNELD_KUBE_SUBNET_MGR = "true"
    } : merge({
      FLANNELD_ETCD_ENDPOINTS = join(",", var.store.endpoints)
      FLANNELD_ETCD_PREFIX    = var.store.prefix
    },
    var.store.ca_file == null ? {} : { FLANNELD_ETCD_CAFILE = var.store.ca_file },
    var.store.cert_file == null ? {} : { FLANNELD_ETCD_CERTFILE = var.store.cert_file },
  )
  agent_env = merge(
    local.store_env,
    var.store.key_file == null ? {} : { FLANNELD_ETCD_KEYFILE = var.store.key_file },
    local.kubernetes ? { FLANNELD_KUBECONFIG_FILE = var.store.kubeconfig } : {},
    { FLANNELD_PROBE_PORT = tostring(var.probe_port) },
    var.agent_env,
  )
  controller_env = merge(local.store_env, var.controller_env)

  # The kubelet makes the Node object that an agent waits for, and so must not wait for the agent (docs/systemd.md).
  agent_unit_file = file("${path.module}/files/flannel-vpc-agent.service")
  agent_unit      = local.kubernetes ? replace(local.agent_unit_file, "/(?m)^Before=.*$/", "Before=docker.service") : local.agent_unit_file
  controller_unit = file("${path.module}/files/flannel-vpc-controller.service")

  # The controller's user changes with each start and can't read root's files: systemd hands it copies.
  credentials = merge(
    var.store.key_file == null ? {} : { FLANNELD_ETCD_KEYFILE = { name = "etcd.key", path = var.store.key_file } },
    local.kubernetes ? { FLANNELD_KUBECONFIG_FILE = { name = "kubeconfig", path = var.store.kubeconfig } } : {},
  )
  agent_drop_in = length(var.agent_args) == 0 ? "" : templatefile("${path.module}/files/drop-in.conf.tftpl", {
    credentials = {}
    command     = "${regex("(?m)^ExecStart=(.*)$", local.agent_unit)[0]} ${join(" ", var.agent_args)}"
  })
  controller_drop_in = length(var.controller_args) == 0 && length(local.credentials) == 0 ? "" : templatefile("${path.module}/files/drop-in.conf.tftpl", {
    credentials = local.credentials
    command     = length(var.controller_args) == 0 ? "" : "${regex("(?m)^ExecStart=(.*)$", local.controller_unit)[0]} ${join(" ", var.controller_args)}"
  })

  # Path, mode and content; what has no content is not written.
  files = [for file in concat(
    [
      { path = "/usr/local/sbin/flannel-vpc-install", mode = "0755", content = file("${path.module}/files/install.sh") },
      { path = "/usr/local/sbin/flannel-vpc-start", mode = "0755", content = file("${path.module}/files/start.sh") },
      { path = "/etc/flannel-vpc/release.env", mode = "0644", content = join("", concat(
        ["URL='${var.release_url}'\n"],
        [for arch, hash in var.release_sha256 : "SHA256_${upper(arch)}=${hash}\n"],
      )) },
      # In Kubernetes net-conf is a file of every machine; with etcd it is stored from the machine that runs it.
      { path = local.kubernetes ? "/etc/kube-flannel/net-conf.json" : "/etc/flannel-vpc/net-conf.json", mode = "0644", content = local.kubernetes || local.etcd ? "${local.net_conf}\n" : "" },
    ],
    !local.agent ? [] : [
      { path = "/etc/flannel-vpc/agent.env", mode = "0600", content = join("", [for name, value in local.agent_env : "${name}=${value}\n"]) },
      { path = "/etc/systemd/system/flannel-vpc-agent.service", mode = "0644", content = local.agent_unit },
      { path = "/etc/systemd/system/flannel-vpc-agent.service.d/machine.conf", mode = "0644", content = local.agent_drop_in },
    ],
    !local.controller ? [] : [
      { path = "/etc/flannel-vpc/controller.env", mode = "0600", content = join("", [for name, value in local.controller_env : "${name}=${value}\n"]) },
      { path = "/etc/systemd/system/flannel-vpc-controller.service", mode = "0644", content = local.controller_unit },
      { path = "/etc/systemd/system/flannel-vpc-controller.service.d/machine.conf", mode = "0644", content = local.controller_drop_in },
    ],
    !local.etcd ? [] : [
      { path = "/etc/systemd/system/etcd.service.d/test-cluster.conf", mode = "0644", content = templatefile("${path.module}/files/etcd.conf.tftpl", { endpoints = var.store.endpoints }) },
      { path = "/etc/flannel-vpc/etcd-client.env", mode = "0600", content = join("", [for name, value in local.store_env : "${name}=${value}\n"]) },
    ],
  ) : file if file.content != ""]

  extra = try(yamldecode(var.extra_cloud_init), {})
  cloud_config = merge(local.extra, {
    package_update = true
    packages = concat(
      ["ca-certificates", "curl"],
      local.agent ? ["iproute2", "iptables", "iputils-ping"] : [],
      local.etcd ? ["etcd-server", "etcd-client"] : [],
      try(local.extra.packages, []),
    )
    write_files = concat(
      [for file in local.files : { path = file.path, owner = "root:root", permissions = file.mode, content = file.content }],
      try(local.extra.write_files, []),
    )
    # etcd first: what the others wait for.
    runcmd = concat(
      [concat(["/usr/local/sbin/flannel-vpc-start"], [for name in ["etcd", "controller", "agent"] : name if contains(var.runs, name)])],
      try(local.extra.runcmd, []),
    )
  })
}
