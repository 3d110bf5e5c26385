r"""What goes wrong with which call, in a language of one line for each method.

    SCRIPT  = TERM *("->" TERM)
    TERM    = [COUNT "*"] FAULT
    FAULT   = "error(" CODE [": " WORDS] ")"                the runtime refuses
            | "delay(" MILLISECONDS ")"                     it does it, but slowly
            | "close"                                       its connections break before it did it
            | "finish-then-error(" CODE [": " WORDS] ")"    it does it, and the answer is lost
            | "finish-then-close"

A term holds for COUNT calls, one without a count for one; after the last term all is well again.
CODE is the name of a gRPC status, such as UNAVAILABLE.
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import grpc

_term = re.compile(
    r"""(?:(?P<count>[1-9][0-9]{0,5})\*)?
    (?: (?P<error>error|finish-then-error)\((?P<code>[A-Z_]+)(?::\ (?P<words>[^()]*))?\)
      | delay\((?P<delay>[0-9]{1,7})\)
      | (?P<close>close|finish-then-close) )""",
    re.VERBOSE,
)


class Outcome(Enum):
    """What becomes of a call."""

    DONE = "done"
    ERROR = "error"
    CLOSE = "close"
    FINISH_THEN_ERROR = "finish-then-error"
    FINISH_THEN_CLOSE = "finish-then-close"


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one call; `delay` is seconds that it takes longer."""

    outcome: Outcome = Outcome.DONE
    delay: float = 0.0
    code: grpc.StatusCode = grpc.StatusCode.OK
    words: str = ""


NO_FAULT = Fault()


def parse_faults(script: str) -> list[Fault]:
    """Read a script: one fault for each call that it is about.

    Raises:
        ValueError: it is none; the text says which term.

    """
    faults: list[Fault] = []
    for term in script.split("->"):
        found = _term.fullmatch(term.strip())
        if found is None:
            raise ValueError(f"expected a fault like '2*error(UNAVAILABLE)', got {term!r}")
        faults += [_fault(found)] * int(found["count"] or 1)
    return faults


def _fault(found: re.Match[str]) -> Fault:
    if found["delay"]:
        return Fault(delay=int(found["delay"]) / 1000)
    if found["close"]:
        return Fault(Outcome(found["close"]))
    if found["code"] not in grpc.StatusCode.__members__ or found["code"] == "OK":
        raise ValueError(f"expected the name of a gRPC status, got {found['code']!r}")
    words = found["words"] or f"a fault of the test: {found['code']}"
    return Fault(Outcome(found["error"]), code=grpc.StatusCode[found["code"]], words=words)


class Faults:
    """The faults that are still to come, by method."""

    def __init__(self, scripts: Mapping[str, str] | None = None) -> None:
        """Take a script for each method."""
        self._queues: dict[str, deque[Fault]] = {}
        for method, script in (scripts or {}).items():
            self.set(method, script)

    def __repr__(self) -> str:
        left = {method: len(queue) for method, queue in self._queues.items() if queue}
        return f"<Faults left={left}>"

    def set(self, method: str, script: str) -> None:
        """Let the next calls of a method go as a script says, instead of what was left.

        Raises:
            ValueError: it is no script, or an empty one.

        """
        self._queues[method] = deque(parse_faults(script))

    def clear(self) -> None:
        """Let all be well again."""
        self._queues.clear()

    def left(self, method: str) -> int:
        """Give the number of calls of a method that are still to go wrong."""
        return len(self._queues.get(method, ()))

    def take(self, method: str) -> Fault:
        """Give what becomes of the call of a method that has just come."""
        queue = self._queues.get(method)
        return queue.popleft() if queue else NO_FAULT
