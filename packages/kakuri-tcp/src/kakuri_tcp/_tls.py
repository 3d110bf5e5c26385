"""TLS settings of servers and clients."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import EndpointError

_MAX_PROTOCOL_NAME = 255  # RFC 7301 section 3.1

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTLS:
    """TLS settings of a server.

    Attributes:
        certificate: Path of a PEM file with the certificate and its chain.
        key: Path of a PEM file with its private key, if it is not in the same file.
        client_ca: Path of a PEM file with the authorities of client certificates. If set, the
            handshake fails for clients without a certificate from one of them.
        alpn: Application protocols in order of preference (RFC 7301).
    """

    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str] | None = None
    client_ca: str | os.PathLike[str] | None = None
    alpn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_path("certificate", self.certificate)
        _check_path("key", self.key, may_be_none=True)
        _check_path("client_ca", self.client_ca, may_be_none=True)
        _check_alpn(self.alpn)

    def context(self) -> "ssl.SSLContext":
        """Read the files and return the context.

        Raises:
            TLSSettingsError: A file is missing or invalid.
        """
        # Most processes do not use TLS, so OpenSSL is loaded for the first context.
        from kakuri_tcp._tls_contexts import server_context  # noqa: PLC0415

        return server_context(self.certificate, self.key, self.client_ca, self.alpn)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTLS:
    """TLS settings of a client.

    Attributes:
        ca: Path of a PEM file with the authorities to trust; None for those of the system.
        certificate: Path of a PEM file with the client's certificate and its chain.
        key: Path of a PEM file with its private key, if it is not in the same file.
        server_name: The host name or address that the server's certificate must have; None for the
            endpoint's host.
        alpn: Application protocols in order of preference (RFC 7301).
    """

    ca: str | os.PathLike[str] | None = None
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    server_name: str | None = None
    alpn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("ca", "certificate", "key"):
            _check_path(name, getattr(self, name), may_be_none=True)
        if not isinstance(self.server_name, str | None):
            raise TypeError(f"expected a string as server_name, got {self.server_name!r:.80}")
        if self.server_name is not None:
            try:  # asyncio does not verify the server if its name is empty
                Endpoint.tls(self.server_name, 0)
            except EndpointError as error:
                raise ValueError(f"invalid server_name: {error}") from None
        if self.key is not None and self.certificate is None:
            raise ValueError("expected the certificate of the key, got None")
        _check_alpn(self.alpn)

    def context(self) -> "ssl.SSLContext":
        """Read the files and return the context.

        Raises:
            TLSSettingsError: A file is missing or invalid.
        """
        from kakuri_tcp._tls_contexts import client_context  # noqa: PLC0415

        return client_context(self.ca, self.certificate, self.key, self.alpn)


def _check_path(name: str, path: object, *, may_be_none: bool = False) -> None:
    if path is None and may_be_none:
        return
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"expected the path of a file as {name}, got {path!r:.80}")


def _check_alpn(alpn: object) -> None:
    if not isinstance(alpn, tuple) or not all(isinstance(name, str) for name in alpn):
        raise TypeError(f"expected a tuple of protocol names as alpn, got {alpn!r:.80}")
    for name in alpn:
        if not name.isascii() or not 1 <= len(name) <= _MAX_PROTOCOL_NAME:
            expected = f"1 to {_MAX_PROTOCOL_NAME} ASCII characters in each name of alpn"
            raise ValueError(f"expected {expected}, got {name!r:.80}")


def cached_context(settings: ClientTLS) -> "ssl.SSLContext":
    """Return a context, cached until one of its files changes.

    Reading the system's authorities takes tens of milliseconds.
    """
    files = (settings.ca, settings.certificate, settings.key)
    return _context(settings, tuple(_version(file) for file in files if file is not None))


@functools.lru_cache(maxsize=32)
def _context(settings: ClientTLS, versions: tuple[object, ...]) -> "ssl.SSLContext":  # noqa: ARG001 - part of the key
    return settings.context()


def _version(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None  # loading it raises the error
    return status.st_ino, status.st_size, status.st_mtime_ns


def tls_for(endpoint: Endpoint, tls: Any) -> "tuple[ssl.SSLContext | None, str]":
    """Return the TLS context for an endpoint, if it needs one, and the server's expected name.

    Raises:
        TypeError: The settings have the wrong type.
    """
    if not isinstance(tls, ClientTLS | None):
        raise TypeError(f"expected ClientTLS as tls, got {type(tls).__name__}")
    if endpoint.scheme != "tls":
        if tls is not None:
            raise EndpointError(f"expected tls:// with TLS settings, got '{endpoint}'")
        return None, ""
    tls = tls or ClientTLS()
    # A zone (`%eth0`) has a meaning only on this machine, so no certificate has one. Neither SNI
    # nor a certificate has the dot at the end of an absolute name (RFC 6066 section 3).
    name = tls.server_name or endpoint.host.partition("%")[0]
    return cached_context(tls), name.removesuffix(".")
