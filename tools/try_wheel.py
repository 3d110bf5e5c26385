"""Test an installed distribution: import its modules, run its README's examples and its commands.

Usage: python tools/try_wheel.py DISTRIBUTION
"""

import importlib
import pkgutil
import re
import subprocess
import sys
from contextlib import chdir
from importlib.metadata import Distribution, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def import_all(name: str) -> int:
    """Import every module of a package; return how many there are."""
    package = importlib.import_module(name)
    count = 1
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            count += 1
    return count


def run_examples(tried: Distribution) -> int:
    """Run every Python example of the README that the wheel carries; return how many there are."""
    readme: str = tried.metadata.get_payload()  # type: ignore[attr-defined]  # it is a Message
    examples: list[str] = EXAMPLE.findall(readme)
    with TemporaryDirectory() as directory, chdir(directory):  # they may leave files
        for example in examples:
            exec(compile(example, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102
    return len(examples)


def ask_for_help(tried: Distribution) -> int:
    """Run every command of the distribution with --help; return how many there are."""
    commands = [entry.name for entry in tried.entry_points if entry.group == "console_scripts"]
    for command in commands:
        program = Path(sys.executable).parent / command
        subprocess.run([program, "--help"], check=True, stdout=subprocess.DEVNULL)
    return len(commands)


def main() -> None:
    """Try the distribution that the command line names."""
    name = sys.argv[1]
    tried = distribution(name)
    modules = import_all(name.replace("-", "_"))
    examples, commands = run_examples(tried), ask_for_help(tried)
    print(f"{name}: {modules} modules, {examples} examples, {commands} commands")
    if not examples:
        raise SystemExit(f"expected an example in the README of {name}, got none")


if __name__ == "__main__":
    main()
