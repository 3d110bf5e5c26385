"""The files that containerd, CNI and the registry read."""

from collections.abc import Mapping
from pathlib import Path

SUBNET = "10.88.7.0/24"
REGISTRY = "127.0.0.1:5000"

# Disabled: drivers that the node does not use, and plugins that would use other directories. Not
# io.containerd.runtime.v1.linux, which the CRI plugin of containerd 1.6 depends on.
_CONTAINERD = """\
version = 2
root = "{root}/root"
state = "{root}/state"
temp = "{root}/tmp"
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.restart",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{root}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:1"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  # Without CAP_SYS_RESOURCE, a score below one's own cannot be set; runc would fail.
  restrict_oom_score_adj = true
  stats_collect_period = 1

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{root}/cni"

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{root}/certs.d"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
"""

_HANDLER = """
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]
        BinaryName = "{program}"
        Root = "{root}/oci"
        SystemdCgroup = false
"""

_CNI = """\
{
  "cniVersion": "1.0.0",
  "name": "zones",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "zones0",
      "isGateway": true,
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "%(root)s/addresses",
        "ranges": [[{ "subnet": "%(subnet)s" }]],
        "routes": [{ "dst": "0.0.0.0/0" }]
      }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
"""

# Images of docker.io are pulled from the node's registry. `server` is the fallback after every host
# has failed; it is the same registry, so that no request leaves the node.
_HOSTS = """\
server = "http://{registry}"

[host."http://{registry}"]
  capabilities = ["pull", "resolve"]
"""

_REGISTRY = """\
version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: {root}/registry
  delete:
    enabled: true
http:
  addr: {registry}
"""


def write(root: Path, handlers: Mapping[str, str]) -> None:
    """Write all files into the node's directory; `handlers` are OCI runtimes' programs by name."""
    for name in ("tmp", "cni", "registry", "certs.d/docker.io", f"certs.d/{REGISTRY}"):
        (root / name).mkdir(parents=True, exist_ok=True)
    tables = [
        _HANDLER.format(name=name, program=program, root=root) for name, program in handlers.items()
    ]
    containerd = _CONTAINERD.format(root=root) + "".join(tables)
    (root / "containerd.toml").write_text(containerd)
    (root / "cni" / "10-zones.conflist").write_text(_CNI % {"root": root, "subnet": SUBNET})
    hosts = _HOSTS.format(registry=REGISTRY)
    (root / "certs.d" / "docker.io" / "hosts.toml").write_text(hosts)
    (root / "certs.d" / REGISTRY / "hosts.toml").write_text(hosts)
    (root / "registry.yml").write_text(_REGISTRY.format(root=root, registry=REGISTRY))
