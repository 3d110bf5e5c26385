"""Progress of one workload: a line that is rewritten on a terminal, otherwise one for each step."""

import sys
import time

from kakuri._invocation import Invocation, width_of
from kakuri._text import cut, now_clock, span

_SHOW_AFTER_SECONDS = 1.0
"""Seconds that a step takes before its duration is shown."""


class Progress:
    """Prints on standard error alone."""

    def __init__(self, invocation: Invocation, name: str) -> None:
        self._invocation = invocation
        self._name = name
        self._is_live = invocation.is_live(sys.stderr)
        self._text = ""
        self._detail = ""
        self._since = time.monotonic()
        self._is_shown = False

    def change(self, text: str) -> None:
        """Show a step; on a terminal, it replaces the previous one."""
        if text == self._text:
            return
        self._text, self._detail, self._since = text, "", time.monotonic()
        if self._is_live:
            self.redraw()
        else:
            self._invocation.note(f"{now_clock()} {self._name}  {text}")

    def detail(self, text: str) -> None:
        """Show how far the step is; only on a terminal."""
        self._detail = text
        self.redraw()

    def redraw(self) -> None:
        """Show the step again with the time that it takes; only on a terminal."""
        if not self._is_live or not self._text:
            return
        text = f"{self._name}  {self._text}"
        if self._detail:
            text += f"   {self._detail}"
        seconds = time.monotonic() - self._since
        if seconds >= _SHOW_AFTER_SECONDS:
            text += f"   {span(seconds)}"
        width = (width_of(sys.stderr) or 80) - 1
        shown = cut(text, width)
        sys.stderr.write(f"\r\x1b[K{self._invocation.styled(shown, 'dim', sys.stderr)}")
        sys.stderr.flush()
        self._is_shown = True

    def clear(self) -> None:
        """Remove the step from a terminal for good, before something else is printed."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._is_shown = False
            self._text = ""

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        prefix = "" if self._is_live else f"{now_clock()} "
        self._invocation.note(f"{prefix}{self._name}  {text}")
