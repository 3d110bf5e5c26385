"""The reason why connecting failed, from the error of the system, TLS or the resolver."""

import os
import re
import socket

from kakuri_tcp._errors import format_seconds

_NUMBER = r"\[Errno ([0-9]+)\]"  # compiled for an error only
_CLOSED_IN_HANDSHAKE = "the peer closed the connection during the TLS handshake"


def reason_of(error: OSError, timeout: float | None = None) -> str:
    """Return why connecting failed, with the system's message.

    Args:
        error: The error; a TimeoutError without a number if the timeout passed.
        timeout: The timeout in seconds, if there is one.
    """
    if isinstance(error, TimeoutError) and not error.errno and timeout is not None:
        return f"it took longer than {format_seconds(timeout)}"
    if type(error).__module__ == "ssl":
        import ssl  # noqa: PLC0415 (it takes 4 MiB, and is loaded already if there is such an error)

        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate was not accepted: {error.verify_message}"
        if is_truncation(error):
            return _CLOSED_IN_HANDSHAKE
        if isinstance(error, ssl.SSLError):
            return f"the TLS handshake failed: {getattr(error, 'reason', None) or error}"
    if isinstance(error, socket.gaierror):
        return f"its name was not found: {error.strerror}"
    # asyncio replaces the system's message, and joins those of all addresses of a name.
    numbers = [error.errno] if error.errno else map(int, re.findall(_NUMBER, str(error)))
    reasons = dict.fromkeys(os.strerror(number).lower() for number in numbers)
    # asyncio raises a ConnectionResetError without text if the peer closes during the handshake.
    return " and ".join(reasons) or str(error) or _CLOSED_IN_HANDSHAKE


def is_truncation(error: OSError) -> bool:
    """Return whether an error means that the peer closed the connection without close_notify.

    Python 3.11 raises an SSLError with the reason, and later versions an SSLEOFError.
    """
    is_eof = type(error).__name__ == "SSLEOFError"
    return is_eof or getattr(error, "reason", None) == "UNEXPECTED_EOF_WHILE_READING"
