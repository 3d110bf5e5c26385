"""Find a Chromium for tests: the one on PATH, or Debian's.

Debian's is downloaded once and unpacked into the repository's `.nox`; nothing is installed.
"""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import debian

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".nox" / "chromium"
REQUIRED = "KAKURI_REQUIRE_BROWSER"
"""The environment variable that makes a missing browser an error."""

PACKAGES = ("chromium",)
FONTS = ("fonts-dejavu-core", "fonts-inter", "fonts-jetbrains-mono")
"""The fonts of the unpacked browser, so that screenshots look the same on every machine."""

LIBRARIES = Path("usr/lib/x86_64-linux-gnu")

_FONT_SETTINGS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
  <alias><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>JetBrains Mono</family></prefer></alias>
  <alias><family>serif</family><prefer><family>DejaVu Serif</family></prefer></alias>
</fontconfig>
"""


class NoBrowser(Exception):
    """There is no Chromium on PATH, and none can be fetched; the message has the reason."""


@dataclass(frozen=True)
class Chromium:
    """A Chromium executable, and the environment variables that it needs."""

    program: Path
    environment: Mapping[str, str]

    def version(self) -> str:
        """Return the output of `--version`. Raises NoBrowser if the program can't start."""
        command = [str(self.program), "--version", "--no-sandbox"]
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NoBrowser(f"{self.program} does not start: {done.stderr.strip()}")
        return done.stdout.strip()


def find(home: Path = HOME) -> Chromium:
    """Return the Chromium on PATH, or the one in `home`, where it is fetched if necessary.

    Raises:
        NoBrowser: It can't be fetched.
    """
    if (installed := debian.which("chromium")) is not None:
        return Chromium(Path(installed), {})
    unpacked = home / "unpacked"
    if not unpacked.is_dir():
        _fetch(home, unpacked)
    libraries = unpacked / LIBRARIES
    environment = {
        "LD_LIBRARY_PATH": f"{libraries}:{libraries / 'pulseaudio'}",
        "FONTCONFIG_FILE": str(_font_settings(home, unpacked / "usr/share/fonts")),
    }
    return Chromium(unpacked / "usr/lib/chromium/chromium", environment)


def _fetch(home: Path, unpacked: Path) -> None:
    if lacks := list(_lacks()):
        raise NoBrowser(f"no Chromium on PATH, and fetching it needs {', '.join(lacks)}")
    home.mkdir(parents=True, exist_ok=True)
    with debian.locked(home / "lock"):
        if unpacked.is_dir():
            return
        packages = home / "packages"
        try:
            debian.update()
            debian.download_with_dependencies(PACKAGES, packages)
            fonts = home / "fonts"
            debian.download(FONTS, fonts)
        except SystemExit as error:  # a package archive that can't be reached
            raise NoBrowser(f"no Chromium on PATH, and it can't be fetched: {error}") from error
        for package in fonts.glob("*.deb"):
            package.rename(packages / package.name)
        debian.unpack(packages, unpacked)


def _lacks() -> Iterable[str]:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        yield "Linux on x86-64"
    elif not debian.can_install():
        yield "root on Debian"


def _font_settings(home: Path, fonts: Path) -> Path:
    path = home / "fonts.conf"
    path.write_text(_FONT_SETTINGS.format(fonts=fonts, cache=home / "font-cache"))
    return path
