"""The process of the command `kakuri`, also started by `python -m kakuri`."""

import gc
from typing import NoReturn

from kakuri._main import main


def run() -> NoReturn:
    """Run the command with the arguments of this process, and exit.

    What a command imports stays until it ends. Looking through that for garbage, and once more at
    the end, would take a tenth of the time of `kakuri ps`.

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
