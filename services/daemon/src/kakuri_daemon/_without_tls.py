"""Imports the event loop without OpenSSL, for processes that never use TLS.

asyncio and uvloop always import the module `ssl`, though no daemon has options for TLS. It takes
4.3 MiB of each process and delays its start. asyncio works without it, as in a Python that was
built without OpenSSL. uvloop reads some of its names when it is imported, and gets the substitutes
below. Afterwards, `import ssl` imports the real module again.

Such an event loop raises RuntimeError if a connection or a server with TLS is requested. A daemon
that has options for TLS must not use this module.
"""

import sys
from contextlib import suppress
from types import ModuleType
from typing import NoReturn

_REFUSAL = "this process has imported its event loop without TLS"


class _TypeCheckRefused(type):
    """Makes `isinstance(…, SSLContext)` raise RuntimeError, as asyncio does without `ssl`."""

    def __instancecheck__(cls, _instance: object) -> NoReturn:
        raise RuntimeError(_REFUSAL)


class _SSLContext(metaclass=_TypeCheckRefused):
    """The substitute for `ssl.SSLContext`."""


class _SSLError(OSError):
    """The substitute for the exceptions of `ssl`; it is never raised."""


def _refuse(*_arguments: object, **_options: object) -> NoReturn:
    raise RuntimeError(_REFUSAL)


_SUBSTITUTES = {
    "SSLContext": _SSLContext,
    "MemoryBIO": _refuse,
    "create_default_context": _refuse,
    "SSLError": _SSLError,
    "SSLWantReadError": _SSLError,
    "SSLSyscallError": _SSLError,
    "SSLZeroReturnError": _SSLError,
    "CertificateError": _SSLError,
    "SSL_ERROR_WANT_READ": 2,  # the numbers of OpenSSL's ssl.h
    "SSL_ERROR_WANT_WRITE": 3,
    "SSL_ERROR_SYSCALL": 5,
}


def import_loop_without_tls() -> None:
    """Import asyncio, and uvloop if it is installed, without OpenSSL.

    Call it only in the main program of a process, before anything that may import asyncio. It has
    no effect if `asyncio` or `ssl` is imported already.
    """
    if "asyncio" in sys.modules or "ssl" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # its import raises ImportError
    try:
        import asyncio  # noqa: F401, PLC0415

        sys.modules["ssl"] = ModuleType("ssl")
        vars(sys.modules["ssl"]).update(_SUBSTITUTES)
        # Not installed, or a version that reads other names: `run` tries it with the real module.
        with suppress(ImportError, AttributeError, TypeError):
            import uvloop  # noqa: F401, PLC0415
    finally:
        del sys.modules["ssl"]
