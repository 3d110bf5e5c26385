"""The security profile of every container; no field of a spec weakens it.

A CRI runtime applies none of this by default, so every setting is sent. Devices, host
namespaces, privileges and supplemental groups are never sent, and the only mount is the zone's own
hosts file.

The user is always sent, even if it is the image's: to a container without one, a runtime gives the
supplementary groups that the image gives to root.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from hashlib import sha256
from types import MappingProxyType

from kakuri_cri import api
from kakuri_cri.api import NamespaceMode as Mode
from kakuri_cri.api import SecurityProfileProfileType as Profile
from kakuri_json import canonical

CAPABILITIES: Mapping[str, str] = MappingProxyType(
    {
        "CHOWN": "a service gives its directories to the user that it will run as",
        "DAC_OVERRIDE": "and accesses them afterwards",
        "FOWNER": "and sets their modes",
        "KILL": "a supervisor signals workers that run as another user",
        "NET_BIND_SERVICE": "a service listens below port 1024",
        "SETGID": "a service drops its group",
        "SETUID": "and its user, as nginx's workers do",
    }
)
"""The capabilities of root in a zone, each with the reason why ordinary services need it. Container
engines usually grant NET_RAW (forged packets), MKNOD, SYS_CHROOT, SETPCAP, SETFCAP, AUDIT_WRITE and
FSETID as well."""

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""Paths that reveal the kernel and the machine; the runtime hides them under empty mounts."""

READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Paths that configure the kernel."""

_ID = re.compile("[0-9]{1,10}")


def namespaces() -> api.NamespaceOption:
    """Return the namespaces: none of the host's, and processes see only their own container's."""
    return api.NamespaceOption(network=Mode.POD, pid=Mode.CONTAINER, ipc=Mode.POD)


def runtime_default() -> api.SecurityProfile:
    """Return the runtime's default seccomp profile.

    Its value is zero, so the encoded message is empty, but it has to be present: containers
    without it run without a profile.
    """
    return api.SecurityProfile(profile_type=Profile.RuntimeDefault)


def sandbox_security() -> api.LinuxSandboxSecurityContext:
    """Return the security context of a sandbox."""
    return api.LinuxSandboxSecurityContext(
        namespace_options=namespaces(), seccomp=runtime_default()
    )


def container_security(user: str) -> api.LinuxContainerSecurityContext:
    """Return the security context of a container that runs as a user, `USER[:GROUP]`."""
    return _as_user(
        api.LinuxContainerSecurityContext(
            capabilities=api.Capability(
                add_capabilities=tuple(CAPABILITIES), drop_capabilities=("ALL",)
            ),
            namespace_options=namespaces(),
            no_new_privs=True,
            masked_paths=MASKED_PATHS,
            readonly_paths=READONLY_PATHS,
            seccomp=runtime_default(),
        ),
        user,
    )


def _as_user(
    context: api.LinuxContainerSecurityContext, user: str
) -> api.LinuxContainerSecurityContext:
    # An image can name any user; a number too large for an id is sent as a name.
    name, _, group = user.partition(":")
    if group and not _ID.fullmatch(group):
        # CRI has no field for a group's name; containerd and CRI-O resolve both parts of this one.
        return replace(context, run_as_username=user)
    # User 0 has to be sent, too; a message other than None is encoded even if it is empty.
    context = replace(context, run_as_group=api.Int64Value(value=int(group)) if group else None)
    if _ID.fullmatch(name):
        return replace(context, run_as_user=api.Int64Value(value=int(name)))
    return replace(context, run_as_username=name)


@cache
def profile_hash() -> str:
    """Return a hash of the security profile of all zones, `sha256:HEX`, without their users.

    It identifies the profile of a container among those of all releases: any change of it changes
    the hash.
    """
    profile = {
        "sandbox": asdict(sandbox_security()),
        "container": asdict(container_security("")),
    }
    return f"sha256:{sha256(canonical(profile)).hexdigest()}"


def leaves_zone(working_dir: str) -> bool:
    """Return whether a working directory may lead out of a zone.

    While runc before 1.1.12 changes to the directory, it has descriptors of the host open below
    /proc/self/fd, to which /dev/fd links (CVE-2024-21626). A workload that names such a directory
    is refused, but an image can name one.
    """
    path = posixpath.normpath("/" + working_dir.lstrip("/"))
    return any(path == door or path.startswith(f"{door}/") for door in ("/proc", "/sys", "/dev/fd"))
