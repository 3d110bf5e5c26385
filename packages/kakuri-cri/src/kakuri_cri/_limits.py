"""How long calls may take, and how large responses may be."""

import math
from dataclasses import dataclass

MAX_RECEIVED = 16 << 20
"""Bytes of one response: what the kubelet accepts, and the most that containerd sends."""

MAX_METADATA_RECEIVED = 1 << 20
"""Bytes of a response's metadata, with the message of an error. Runtimes quote arguments, of 128
KiB each, and percent-encoding makes three bytes of one. gRPC libraries accept 8 to 64 KiB by
default, above which the error, or the connection with all its calls, is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that calls may take; the defaults are the kubelet's.

    Attributes:
        usual: For calls without their own timeout. StopContainer and ExecSync add their grace
            period or timeout to it.
        run_pod_sandbox: For RunPodSandbox, which may boot a virtual machine.
    """

    usual: float = 120.0
    run_pod_sandbox: float = 240.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            check_seconds(value, name)
            if not value > 0:
                raise ValueError(f"expected seconds above 0 as {name}, got {value!r}")


def check_seconds(value: object, name: str, *, expected: str = "seconds") -> None:
    """Raise TypeError unless an argument is a number, ValueError if it is NaN or too large."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"expected {expected} as {name}, got {value!r:.80}")
    try:
        is_nan = math.isnan(value)
    except OverflowError:
        message = f"expected {expected} as {name}, got an integer too large for a float"
        raise ValueError(message) from None
    if is_nan:
        raise ValueError(f"expected {expected} as {name}, got NaN")
