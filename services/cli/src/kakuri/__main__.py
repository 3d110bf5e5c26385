"""The process of the command `kakuri`, also started by `python -m kakuri`."""

import gc
from typing import NoReturn

from kakuri._main import main


def run() -> NoReturn:
    """Run the command with the arguments of this process, and exit.

    Imported modules live until the process exits, so garbage collection is deferred, and skipped at
    the exit. It would add a tenth to the time of `kakuri ps`.

    Raises:
        SystemExit: Always, with the exit code.
    """
    gc.set_threshold(100_000)
    try:
        main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    run()
