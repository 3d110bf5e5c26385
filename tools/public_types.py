"""Check the types that users of the libraries see, with mypy and pyright.

    python -m tools.public_types

The examples of all READMEs and the calls in each `tests/typing_usage.py` have no fault, and every
public name of the libraries has a type that does not depend on how a type checker infers it. Needs
all members, mypy and pyright in the environment.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.members import MEMBERS
from tools.usage import write_usage


def main() -> int:
    """Run every check, show the faults of those that fail, and return the exit status."""
    libraries = [
        member.import_name for member in MEMBERS if member.directory.parent.name == "packages"
    ]
    with tempfile.TemporaryDirectory() as directory:
        files = [path.name for path in write_usage(Path(directory))]
        strict = ["--strict", "--config-file=", "--no-incremental", "--no-error-summary"]
        checks = [
            ("mypy", *strict, *files),
            ("pyright", *files),
            *(("pyright", "--ignoreexternal", "--verifytypes", name) for name in libraries),
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            passed = list(pool.map(lambda check: _passes(directory, *check), checks))
    if all(passed):
        print(f"mypy and pyright accept {len(files)} files and {len(libraries)} libraries")
    return 0 if all(passed) else 1


def _passes(directory: str, checker: str, *arguments: str) -> bool:
    # pyright looks for packages in the environment of the first Python on PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ended = subprocess.run(
        [sys.executable, "-m", checker, *arguments],
        cwd=directory, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        print(f"{checker} {' '.join(arguments)}", ended.stdout, ended.stderr, sep="\n")
    return ended.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
