"""The node's images: pause, busybox, nginx and a hostile one, made of Debian's packages."""

import subprocess

from tests.cri_node import pause
from tests.cri_node.cache import Cache
from tests.cri_node.layers import Image, Layer, image

ARCHITECTURE = "amd64"

PAUSE = "library/pause:1"
BUSYBOX = "library/busybox:latest"
NGINX = "library/nginx:latest"
DOOR = "library/door:latest"
"""Its working directory is where runc before 1.1.12 has descriptors of the host open."""

# Parts of packages that no container needs, or that belong to a system with an init.
LEAVE_OUT = (
    "etc/default",
    "etc/init.d",
    "etc/logrotate.d",
    "etc/nginx/sites-available",
    "etc/ufw",
    "lib/systemd",
    "usr/lib/systemd",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/nginx/modules-available",
)

DIRECTORIES = "bin dev etc proc root run sbin sys usr usr/bin usr/sbin var var/log"

ACCOUNTS = """\
root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

NGINX_CONF = """\
user www-data;
worker_processes 1;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log combined;
    server {
        listen 80;
        root /usr/share/nginx/html;
        index index.html;
    }
}
"""
PAGE = "<!doctype html><title>Welcome to nginx!</title><h1>Welcome to nginx!</h1>\n"


def build(cache: Cache) -> dict[str, Image]:
    """Build the images; their names are the registry's repository and tag."""
    busybox = cache.busybox.read_bytes()
    hold = Layer().file("pause", pause.program(), 0o755).finish()
    base = _base(cache, busybox).finish()
    libraries, server = Layer(), Layer()
    for package in sorted(cache.images.glob("*.deb")):
        layer = server if package.name.startswith("nginx") else libraries
        layer.package(package, LEAVE_OUT)
    server.link("var/log/nginx/access.log", "/dev/stdout")
    server.link("var/log/nginx/error.log", "/dev/stderr")
    server.file("etc/nginx/nginx.conf", NGINX_CONF)
    server.file("usr/share/nginx/html/index.html", PAGE)
    nginx = [base, libraries.finish(), server.finish()]
    serve: dict[str, object] = {
        "Cmd": ["nginx", "-g", "daemon off;"],
        "Env": [PATH],
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGQUIT",
    }
    return {
        PAUSE: image(ARCHITECTURE, [hold], {"Entrypoint": ["/pause"]}),
        BUSYBOX: image(ARCHITECTURE, [base], {"Cmd": ["sh"], "Env": [PATH]}),
        NGINX: image(ARCHITECTURE, nginx, serve),
        DOOR: image(
            ARCHITECTURE, [base], {"Cmd": ["pwd"], "Env": [PATH], "WorkingDir": "/proc/self/fd/8"}
        ),
    }


def _base(cache: Cache, busybox: bytes) -> Layer:
    layer = Layer()
    for name in DIRECTORIES.split():
        layer.directory(name)
    layer.directory("tmp", 0o1777)
    layer.file("etc/passwd", ACCOUNTS).file("etc/group", GROUP)
    layer.file("bin/busybox", busybox, 0o755)
    listed = subprocess.run(
        [cache.busybox, "--list"], check=True, capture_output=True, text=True
    ).stdout
    for applet in listed.split():
        if applet != "busybox":
            layer.link(f"bin/{applet}", "busybox")
    return layer
