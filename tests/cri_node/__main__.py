"""Run a command on a CRI node, in namespaces that end with it.

Usage: python -m tests.cri_node -- COMMAND [ARGUMENT…]
"""

import argparse
import sys

from tests.cri_node import namespaces
from tests.cri_node.cache import PROGRAMS, Cache, lacks
from tools import debian


def main() -> None:
    """Fetch what the node needs, then run the command on it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cri_node", description="Run a command on a CRI node."
    )
    parser.add_argument("command", nargs="+", help="the command and its arguments, after --")
    options = parser.parse_args()
    needs = lacks()
    if needs:
        sys.exit(f"a CRI node needs {', '.join(needs)}")
    packages = debian.missing(PROGRAMS)
    if packages:
        print(f"installing {' '.join(packages)}", file=sys.stderr)
        if services := debian.install(packages):
            print(
                f"disabled, so that they don't start at boot: {', '.join(services)}",
                file=sys.stderr,
            )
    cache = Cache()
    cache.fill()
    sys.exit(namespaces.run(options.command, cache))


if __name__ == "__main__":
    main()
