"""The reason why connecting failed, from the error of the system, TLS or the resolver."""

import os
import re
import socket

_NUMBER = r"\[Errno ([0-9]+)\]"  # compiled for an error only


def reason_of(error: OSError) -> str:
    """Return why connecting failed, with the system's message."""
    if type(error).__module__ == "ssl":
        import ssl  # noqa: PLC0415 (it takes 4 MiB, and is loaded already if there is such an error)

        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate was not accepted: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return f"the TLS handshake failed: {getattr(error, 'reason', None) or error}"
    if isinstance(error, socket.gaierror):
        return f"its name was not found: {error.strerror}"
    # asyncio replaces the system's message, and joins those of all addresses of a name.
    numbers = [error.errno] if error.errno else map(int, re.findall(_NUMBER, str(error)))
    reasons = dict.fromkeys(os.strerror(number).lower() for number in numbers)
    return " and ".join(reasons) or str(error)
