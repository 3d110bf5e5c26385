"""Starting threads, which the system may refuse."""

import threading
from collections.abc import Callable
from typing import Any

from kakuri._exits import CommandError, Exit


def start_thread(target: Callable[..., Any], *arguments: Any) -> None:
    """Call a function in a thread that does not keep the process alive.

    Raises:
        CommandError: The system allows no more threads.
    """
    try:
        threading.Thread(target=target, args=arguments, daemon=True).start()
    except RuntimeError as error:
        message = f"{error}: the limit on processes (ulimit -u) or the memory is used up"
        raise CommandError(message, Exit.USAGE, code="no_thread") from error
