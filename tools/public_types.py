"""Check with pyright what users of the libraries see of their types.

    python -m tools.public_types

The examples of all READMEs and the calls in tests/contract/typed_calls.py have no fault, and every
public name of the libraries has a type that does not depend on how a type checker infers it. Needs
all members and pyright in the environment.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.members import MEMBERS, ROOT
from tools.readmes import write_examples


def main() -> int:
    """Run every check, show the faults of those that fail, and return the exit status."""
    libraries = [
        member.import_name for member in MEMBERS if member.folder.parent.name == "packages"
    ]
    with tempfile.TemporaryDirectory() as folder:
        calls = ROOT / "tests" / "contract" / "typed_calls.py"
        examples = [str(path) for path in [*write_examples(Path(folder)), calls]]
        passed = [
            _passes(folder, *examples),
            *(_passes(folder, "--ignoreexternal", "--verifytypes", name) for name in libraries),
        ]
    if all(passed):
        print(f"pyright: {len(examples)} examples, {len(libraries)} libraries")
    return 0 if all(passed) else 1


def _passes(folder: str, *arguments: str) -> bool:
    # pyright looks for packages in the environment of the first Python on PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ended = subprocess.run(
        [sys.executable, "-m", "pyright", *arguments],
        cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode != 0:
        print(" ".join(arguments), ended.stdout, ended.stderr, sep="\n")
    return ended.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
