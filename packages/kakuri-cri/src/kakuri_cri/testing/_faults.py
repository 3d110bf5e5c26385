r"""Faults of calls, written as a script of one line for each method.

    SCRIPT  = TERM *("->" TERM)
    TERM    = [COUNT "*"] FAULT
    FAULT   = "error(" CODE [": " MESSAGE] ")"              the call fails, it is not carried out
            | "delay(" MILLISECONDS ")"                     the call is carried out after a delay
            | "close"                                       connections break, it is not carried out
            | "finish-then-error(" CODE [": " MESSAGE] ")"  it is carried out, its response is lost
            | "finish-then-close"                           the same, and connections break

A term applies to COUNT calls, or to one without COUNT. Calls after the last term succeed. CODE
is the name of a gRPC status, such as UNAVAILABLE.
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from kakuri_grpc import StatusCode

_TERM = re.compile(
    r"""(?:(?P<count>[1-9][0-9]{0,5})\*)?
    (?: (?P<error>error|finish-then-error)\((?P<code>[A-Z_]+)(?::\ (?P<message>[^()]*))?\)
      | delay\((?P<delay>[0-9]{1,7})\)
      | (?P<close>close|finish-then-close) )""",
    re.VERBOSE,
)


class Outcome(Enum):
    """How a call ends."""

    DONE = "done"
    ERROR = "error"
    CLOSE = "close"
    FINISH_THEN_ERROR = "finish-then-error"
    FINISH_THEN_CLOSE = "finish-then-close"


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one call.

    Attributes:
        outcome: How the call ends.
        delay: Additional seconds before it is carried out.
        code: The gRPC status, if the call fails.
        message: The message of the error.
    """

    outcome: Outcome = Outcome.DONE
    delay: float = 0.0
    code: StatusCode = StatusCode.OK
    message: str = ""


NO_FAULT = Fault()


def parse_faults(script: str) -> list[Fault]:
    """Parse a script into faults, one for each call that it applies to.

    Raises:
        ValueError: A term of the script is not valid; the message quotes it.
    """
    faults: list[Fault] = []
    for term in script.split("->"):
        found = _TERM.fullmatch(term.strip())
        if found is None:
            raise ValueError(f"expected a fault like '2*error(UNAVAILABLE)', got {term!r}")
        faults += [_fault(found)] * int(found["count"] or 1)
    return faults


def _fault(found: re.Match[str]) -> Fault:
    if found["delay"]:
        return Fault(delay=int(found["delay"]) / 1000)
    if found["close"]:
        return Fault(Outcome(found["close"]))
    if found["code"] not in StatusCode.__members__ or found["code"] == "OK":
        raise ValueError(f"expected the name of a gRPC status, got {found['code']!r}")
    message = found["message"] or f"a fault of the test: {found['code']}"
    return Fault(Outcome(found["error"]), code=StatusCode[found["code"]], message=message)


class Faults:
    """The pending faults, by method."""

    def __init__(self, scripts: Mapping[str, str] | None = None) -> None:
        """Create the faults of a script for each method."""
        self._queues: dict[str, deque[Fault]] = {}
        for method, script in (scripts or {}).items():
            self.set(method, script)

    def __repr__(self) -> str:
        left = {method: len(queue) for method, queue in self._queues.items() if queue}
        return f"<Faults left={left}>"

    def set(self, method: str, script: str) -> None:
        """Replace the pending faults of a method.

        Raises:
            ValueError: The script is not valid.
        """
        self._queues[method] = deque(parse_faults(script))

    def clear(self) -> None:
        """Remove all pending faults, so that all calls succeed."""
        self._queues.clear()

    def left(self, method: str) -> int:
        """Return the number of pending faults of a method."""
        return len(self._queues.get(method, ()))

    def take(self, method: str) -> Fault:
        """Remove and return the next fault of a method, `NO_FAULT` if there is none."""
        queue = self._queues.get(method)
        return queue.popleft() if queue else NO_FAULT
