"""Debian's packages: which program comes from which, and how to install or unpack one."""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

# Where the packages `golang-*-dev` put the sources of Go libraries, such as that of gRPC.
GO_LIBRARIES = "/usr/share/gocode"
GO_GRPC = f"{GO_LIBRARIES}/src/google.golang.org/grpc"

# The package of each program, and of files and directories by their absolute paths.
PACKAGES = {
    "bash": "bash",
    "chromium": "chromium",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "containerd": "containerd",
    "curl": "curl",
    "docker-registry": "docker-registry",
    "etcd": "etcd-server",
    "fish": "fish",
    "go": "golang-go",
    "h2load": "nghttp2-client",
    "ip": "iproute2",
    "iptables": "iptables",
    "man": "man-db",
    "nc": "netcat-openbsd",
    "nghttp": "nghttp2-client",
    "nghttpd": "nghttp2-server",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "qemu-system-x86_64": "qemu-system-x86",
    "runc": "runc",
    GO_GRPC: "golang-google-grpc-dev",
    "wrk": "wrk",
    "zsh": "zsh",
}

# Debian installs servers in directories that an ordinary user's PATH lacks.
SERVERS = "/usr/sbin"

# Maintainer scripts of packages run this program before they start a service.
POLICY = Path("/usr/sbin/policy-rc.d")

# apt's own user may have no access to the directory that packages are fetched into.
_APT_AS_ROOT = ("-o", "APT::Sandbox::User=root")

_UNIT = re.compile(r"(?:/usr)?/lib/systemd/system/([^/@]+\.(?:service|socket|timer|path))")
_INIT_SCRIPT = re.compile(r"/etc/init\.d/([^/]+)")

_NO_SERVICE = """\
#!/bin/sh
# Written for one installation: exit code 101 forbids starting any service.
exit 101
"""


def which(program: str) -> str | None:
    """Return the path of a program given by name or path; None if it is not installed."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}{os.pathsep}{SERVERS}")


def missing(programs: Iterable[str]) -> list[str]:
    """Return the packages to install for those of the programs, or paths, that are missing."""
    return sorted({PACKAGES[program] for program in programs if not _is_there(program)})


def _is_there(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else which(program) is not None


def can_install() -> bool:
    """Return whether this process can install packages: it runs as root on Debian."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install(packages: Iterable[str]) -> list[str]:
    """Install packages, but keep their services from starting, now and at boot.

    Services of other packages that they depend on, such as logrotate, stay enabled.

    Returns:
        The services that were disabled; `systemctl enable` enables one again.
    """
    requested = set(packages)
    before = _installed()
    update()
    with _no_service_starts():
        _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *sorted(requested)])
    after = _installed()
    sources = {after[name] for name in requested}
    return _disable_services(
        [name for name in sorted(after.keys() - before.keys()) if after[name] in sources]
    )


def update() -> None:
    """Update apt's package lists."""
    _run(["apt-get", "update", "-q"])


def download(packages: Iterable[str], directory: Path) -> None:
    """Download .deb files into a directory, which is created only once it is complete.

    An existing directory is kept as it is; delete it to get newer versions.
    """
    if directory.is_dir():
        return
    with _complete(directory) as fetched:
        _run(["apt-get", "download", "-q", *_APT_AS_ROOT, *packages], cwd=fetched)


def download_with_dependencies(packages: Iterable[str], directory: Path) -> None:
    """Download packages and their missing dependencies, as `download` does.

    Dependencies that are installed are left out, so the unpacked files work only on this machine,
    and only while those stay installed.
    """
    if directory.is_dir():
        return
    with _complete(directory) as fetched:
        (fetched / "partial").mkdir()
        archives = ["-o", f"Dir::Cache::archives={fetched}"]
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "--download-only"]
        _run([*command, *_APT_AS_ROOT, *archives, *packages])


def unpack(packages: Path, directory: Path) -> None:
    """Unpack all .deb files of a directory into another, created only once it is complete."""
    with _complete(directory) as unpacked:
        for package in sorted(packages.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(package), str(unpacked)])


def depends(package: str) -> list[str]:
    """Return the names of a package's direct dependencies; of alternatives, the first."""
    shown = _run(["apt-cache", "show", "--no-all-versions", package])
    fields = re.findall(r"^(?:Pre-)?Depends: (.+)$", shown, re.MULTILINE)
    names = [re.match(r"[a-z0-9][a-z0-9.+-]+", part) for part in ", ".join(fields).split(", ")]
    return [name.group() for name in names if name is not None]


def libraries(package: str) -> set[str]:
    """Return the names of the libraries that a package needs, directly or indirectly."""
    found: set[str] = set()
    waiting = {package}
    while waiting:
        needs = {name for name in depends(waiting.pop()) if re.match(r"lib|zlib", name)}
        waiting |= needs - found
        found |= needs
    return found


def _installed() -> dict[str, str]:
    """Return each installed package with its source package, such as nginx for nginx-common."""
    columns = "${db:Status-Status} ${Package} ${source:Package}\\n"
    listed = _run(["dpkg-query", "--show", f"--showformat={columns}"])
    found = (line.split() for line in listed.splitlines())
    return {name: source for status, name, source in found if status == "installed"}


def _disable_services(packages: list[str]) -> list[str]:
    """Disable all services of packages; installing these has enabled them."""
    if not packages:
        return []
    files = _run(["dpkg-query", "--listfiles", *packages]).splitlines()
    units = sorted({match[1] for match in map(_UNIT.fullmatch, files) if match is not None})
    if units and shutil.which("systemctl") is not None:
        _run(["systemctl", "disable", *units])
    scripts = sorted(
        {match[1] for match in map(_INIT_SCRIPT.fullmatch, files) if match is not None}
    )
    for script in scripts:
        _run(["update-rc.d", script, "disable"])
    return units or scripts


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file; the kernel releases it if this process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _complete(directory: Path) -> Iterator[Path]:
    """Yield a temporary directory to fill; rename it on success, and remove it on failure."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{directory.name}-", dir=directory.parent) as name:
        yield Path(name)
        Path(name).rename(directory)


@contextmanager
def _no_service_starts() -> Iterator[None]:
    made = False
    if not POLICY.exists():
        POLICY.write_text(_NO_SERVICE)
        POLICY.chmod(0o755)
        made = True
    try:
        yield
    finally:
        if made:
            POLICY.unlink()


def _run(command: list[str], cwd: Path | None = None) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout
