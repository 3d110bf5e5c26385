"""TLS settings of servers and clients, and their SSL contexts.

Verification can't be turned off. TLS 1.2 is the oldest version (RFC 8996 deprecates earlier ones);
the rest are OpenSSL's defaults, which Python limits to forward-secret ciphers.
"""

import functools
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kakuri_tcp._endpoint import Endpoint
from kakuri_tcp._errors import EndpointError, TLSSettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTLS:
    """TLS settings of a server.

    Attributes:
        certificate: Path of a PEM file with the certificate and its chain.
        key: Path of a PEM file with its private key, if it is not in the same file.
        client_ca: Path of a PEM file with the authorities of client certificates; if set, peers
            without such a certificate are refused in the handshake.
        alpn: Application protocols in order of preference (RFC 7301).
    """

    certificate: str | os.PathLike[str]
    key: str | os.PathLike[str] | None = None
    client_ca: str | os.PathLike[str] | None = None
    alpn: tuple[str, ...] = ()

    def context(self) -> ssl.SSLContext:
        """Read the files and return the context.

        Raises:
            TLSSettingsError: A file is missing or invalid.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.options |= ssl.OP_NO_RENEGOTIATION
        _load_certificate(context, self.certificate, self.key)
        if self.client_ca is not None:
            _load_authorities(context, self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return _with_common_settings(context, self.alpn)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTLS:
    """TLS settings of a client.

    Attributes:
        ca: Path of a PEM file with the authorities to trust; None for the system's.
        certificate: Path of a PEM file with the client's certificate and its chain.
        key: Path of a PEM file with its private key, if it is not in the same file.
        server_name: The name that the server's certificate must have; None for the endpoint's
            host.
        alpn: Application protocols in order of preference (RFC 7301).
    """

    ca: str | os.PathLike[str] | None = None
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    server_name: str | None = None
    alpn: tuple[str, ...] = ()

    def context(self) -> ssl.SSLContext:
        """Read the files and return the context.

        Raises:
            TLSSettingsError: A file is missing or invalid.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Python makes OpenSSL 3 accept the end of a stream without close_notify; clients have to
        # know that the connection was cut off.
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        if self.ca is None:
            context.load_default_certs()
        else:
            _load_authorities(context, self.ca)
        if self.certificate is not None:
            _load_certificate(context, self.certificate, self.key)
        return _with_common_settings(context, self.alpn)


def client_context(settings: ClientTLS) -> ssl.SSLContext:
    """Return a context, cached until one of its files changes.

    Reading the system's authorities takes tens of milliseconds.
    """
    files = (settings.ca, settings.certificate, settings.key)
    return _cached_context(settings, tuple(_version(file) for file in files if file is not None))


@functools.lru_cache(maxsize=32)
def _cached_context(settings: ClientTLS, versions: tuple[object, ...]) -> ssl.SSLContext:  # noqa: ARG001 - part of the key
    return settings.context()


def _version(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None  # loading it raises the error
    return status.st_ino, status.st_size, status.st_mtime_ns


def _with_common_settings(context: ssl.SSLContext, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _load_certificate(
    context: ssl.SSLContext,
    certificate: str | os.PathLike[str],
    key: str | os.PathLike[str] | None,
) -> None:
    try:
        # Without a callback, OpenSSL asks for the password of an encrypted key on the terminal.
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise TLSSettingsError("a certificate and its key", certificate, str(error)) from error


def _load_authorities(context: ssl.SSLContext, path: str | os.PathLike[str]) -> None:
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise TLSSettingsError("certificates of authorities", path, str(error)) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def tls_for(endpoint: Endpoint, tls: Any) -> tuple[ssl.SSLContext | None, str]:
    """Return the TLS context for an endpoint, if it needs one, and the server's expected name.

    Raises:
        TypeError: The settings are of another type.
    """
    if not isinstance(tls, ClientTLS | None):
        raise TypeError(f"expected ClientTLS as tls, got {type(tls).__name__}")
    if endpoint.scheme != "tls":
        if tls is not None:
            raise EndpointError(f"expected tls:// with TLS settings, got '{endpoint}'")
        return None, ""
    tls = tls or ClientTLS()
    return client_context(tls), tls.server_name or endpoint.host
