"""Build Go programs from the sources in Debian's `golang-*-dev`, without a module proxy."""

import os
import subprocess
from pathlib import Path

from tools import debian

NEEDED = ("go", debian.GO_GRPC)
"""The compiler, and the sources of the gRPC package."""


def is_available() -> bool:
    """Return whether Go and the sources of its gRPC package are installed."""
    return not debian.missing(NEEDED)


def build(source: Path, program: Path) -> Path:
    """Compile one file.

    Args:
        source: The file.
        program: Where the executable goes.

    Raises:
        subprocess.CalledProcessError: It does not compile, or a package is missing.
    """
    settings = {"GO111MODULE": "off", "GOPATH": debian.GO_LIBRARIES, "GOFLAGS": ""}
    subprocess.run(
        ["go", "build", "-o", str(program), str(source)], env=os.environ | settings, check=True
    )
    return program
