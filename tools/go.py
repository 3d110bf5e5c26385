"""Builds Go programs with the packages of Debian's `golang-*-dev`, without a module proxy."""

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = "/usr/share/gocode"
"""Where Debian's packages put the sources of Go libraries."""


def is_available() -> bool:
    """Return whether Go is here, with the sources of its gRPC package."""
    return shutil.which("go") is not None and Path(PACKAGES, "src/google.golang.org/grpc").is_dir()


def build(source: Path, program: Path) -> Path:
    """Compile one file.

    Args:
        source: The file.
        program: Where the executable goes.

    Raises:
        subprocess.CalledProcessError: It does not compile, or a package is missing.
    """
    settings = {"GO111MODULE": "off", "GOPATH": PACKAGES, "GOFLAGS": ""}
    subprocess.run(
        ["go", "build", "-o", str(program), str(source)], env=os.environ | settings, check=True
    )
    return program
