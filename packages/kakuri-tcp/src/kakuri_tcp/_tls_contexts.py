"""SSL contexts from TLS settings, in a module that loads OpenSSL only when one is created.

Verification can't be turned off. TLS 1.2 is the minimum (RFC 8996 deprecates earlier versions). All
other settings are OpenSSL's defaults, which Python limits to forward-secret ciphers.
"""

import os
import ssl

from kakuri_tcp._errors import TLSSettingsError


def server_context(
    certificate: str | os.PathLike[str],
    key: str | os.PathLike[str] | None,
    client_ca: str | os.PathLike[str] | None,
    alpn: tuple[str, ...],
) -> ssl.SSLContext:
    """Read the files of a ServerTLS and return the context.

    Raises:
        TLSSettingsError: A file is missing or invalid.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load_certificate(context, certificate, key)
    if client_ca is not None:
        _load_authorities(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return _with_common_settings(context, alpn)


def client_context(
    ca: str | os.PathLike[str] | None,
    certificate: str | os.PathLike[str] | None,
    key: str | os.PathLike[str] | None,
    alpn: tuple[str, ...],
) -> ssl.SSLContext:
    """Read the files of a ClientTLS and return the context.

    Raises:
        TLSSettingsError: A file is missing or invalid.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The common name of a subject need not be a host: authorities also certify users (RFC 9525, 2).
    context.hostname_checks_common_name = False
    # Python makes OpenSSL 3 accept a stream that ends without close_notify; clients have to notice
    # the truncation.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if ca is None:
        context.load_default_certs()
    else:
        _load_authorities(context, ca)
    if certificate is not None:
        _load_certificate(context, certificate, key)
    return _with_common_settings(context, alpn)


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
