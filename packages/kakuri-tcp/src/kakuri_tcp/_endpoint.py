"""Endpoints: addresses of TCP, TLS and Unix sockets, as values and as text."""

import re
from dataclasses import dataclass
from typing import Literal, Self

from kakuri_tcp._errors import EndpointError

# RFC 1123 section 2.1 and RFC 952, with the underscore that names inside clusters use.
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_-]+)*\.?")
_HOST_NAME_LENGTH = 253
_LABEL_LENGTH = 63
_OCTETS = frozenset(map(str, range(256)))
_PORT = re.compile(r"[0-9]{1,5}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
# sockaddr_un holds 108 bytes on Linux, the closing NUL among them.
_UNIX_PATH_LENGTH = 107

_FORMS = "HOST:PORT, [IPV6]:PORT, tcp://, tls:// or unix:///PATH"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to listen on or connect to.

        Endpoint.parse("127.0.0.1:9000")      # also "tcp://…", "tls://…", "[::1]:9000"
        Endpoint.parse("unix:/run/x.sock")    # also "unix:///run/x.sock"

    Create one with `parse`, `tcp`, `tls` or `unix`, which validate it. `str()` returns the text.

    Attributes:
        scheme: "tcp", "tls" or "unix".
        host: A host name or an address without brackets; empty for "unix".
        port: 0 to 65535, 0 meaning that the kernel chooses; 0 for "unix".
        path: The absolute path of a Unix socket; empty for the others.
    """

    scheme: Literal["tcp", "tls", "unix"]
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an endpoint from text.

        Args:
            text: `HOST:PORT` or `[IPV6]:PORT`, with or without `tcp://` or `tls://` before it;
                `unix:///PATH` or `unix:/PATH`.

        Raises:
            EndpointError: The text does not have one of these forms, or the host, port or path is
                invalid.
            TypeError: The argument is not a str.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected an endpoint such as '127.0.0.1:9000', got {text!r:.80}")
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            return cls.unix(path.removeprefix("//") if path.startswith("//") else path)
        if text.startswith("/"):
            raise EndpointError(f"expected {_FORMS}, got {text!r}; a Unix socket is unix:PATH")
        scheme, rest = "tcp", text
        if match := _SCHEME.fullmatch(text):
            scheme, rest = match[1], match[2]
        host, colon, port = rest.rpartition(":")
        if not colon or not _PORT.fullmatch(port):
            raise EndpointError(f"expected {_FORMS}, got {text!r}")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if ":" not in host:
                raise EndpointError(f"expected an IPv6 address in brackets, got {host!r}")
        elif ":" in host:
            raise EndpointError(f"expected an IPv6 address in brackets, got {rest!r}")
        match scheme:
            case "tcp":
                return cls.tcp(host, int(port))
            case "tls":
                return cls.tls(host, int(port))
        raise EndpointError(f"expected {_FORMS}, got {text!r}")

    @classmethod
    def of(cls, value: "Endpoint | str") -> "Endpoint":
        """Return an endpoint unchanged, or parse it from text.

        Every function of this package that takes an endpoint calls this, so each of them also
        accepts text.

        Raises:
            EndpointError: The text is not an endpoint.
            TypeError: The value is neither an Endpoint nor a str.
        """
        return value if isinstance(value, Endpoint) else cls.parse(value)

    @classmethod
    def tcp(cls, host: str, port: int) -> Self:
        """Return the endpoint of a TCP host and port.

        Raises:
            EndpointError: The host is neither a name nor an address, or the port is out of range.
        """
        return cls("tcp", _checked_host(host), _checked_port(port))

    @classmethod
    def tls(cls, host: str, port: int) -> Self:
        """Return the endpoint of TLS over a TCP host and port; raises the same errors as `tcp`."""
        return cls("tls", _checked_host(host), _checked_port(port))

    @classmethod
    def unix(cls, path: str) -> Self:
        """Return the endpoint of a Unix socket.

        Raises:
            EndpointError: The path is relative or too long for the system, or names an abstract
                socket, which has no permissions (see CVE-2020-15257).
        """
        if not isinstance(path, str):
            raise TypeError(f"expected a string as path, got {path!r:.80}")
        if path.startswith(("@", "\0")):
            raise EndpointError(f"expected a path, got the abstract socket name {path!r}")
        if not path.startswith("/") or path.endswith("/") or "\0" in path:
            raise EndpointError(f"expected the absolute path of a Unix socket, got {path!r}")
        try:
            length = len(path.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError as error:
            raise EndpointError(f"expected a path without lone surrogates, got {path!r}") from error
        if length > _UNIX_PATH_LENGTH:
            raise EndpointError(
                f"expected a Unix socket path of at most {_UNIX_PATH_LENGTH} bytes, got {path!r}"
            )
        return cls("unix", path=path)

    @property
    def address(self) -> str:
        """The endpoint without `tcp://` or `tls://`: `HOST:PORT` or `unix:PATH`."""
        if self.scheme == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"tls://{self.address}" if self.scheme == "tls" else self.address

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. True for a Unix socket, false for `0.0.0.0`.

        The only host name that counts is `localhost`, which always means this machine (RFC 6761
        section 6.3).
        """
        if self.scheme == "unix":
            return True
        import ipaddress  # noqa: PLC0415 (not for every endpoint)

        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host.lower().removesuffix(".") == "localhost"
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # ::ffff:127.0.0.1 is reached through IPv4
        return address.is_loopback


def _is_address(host: str) -> bool:
    """Return whether a host is an IPv4 address (RFC 3986 section 3.2.2) or an IPv6 address."""
    if ":" not in host:
        octets = host.split(".", 4)
        return len(octets) == 4 and _OCTETS.issuperset(octets)
    import ipaddress  # noqa: PLC0415 (not for every endpoint)

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _checked_host(host: str) -> str:
    if not isinstance(host, str):
        raise TypeError(f"expected a string as host, got {host!r:.80}")
    if _is_address(host):
        return host
    # The system's resolver accepts 127.1 and 0x7f.1 as addresses, so a host whose last label begins
    # with a digit must be a complete address.
    labels = host.removesuffix(".").split(".")
    is_too_long = len(host) > _HOST_NAME_LENGTH or max(map(len, labels)) > _LABEL_LENGTH
    if is_too_long or not _HOST_NAME.fullmatch(host) or labels[-1][0].isdigit():
        raise EndpointError(f"expected a host name or an address, got {host!r}")
    return host


def _checked_port(port: object) -> int:
    if not isinstance(port, int) or isinstance(port, bool):
        raise TypeError(f"expected a number as port, got {port!r:.80}")
    if not 0 <= port <= 65535:
        raise EndpointError(f"expected a port from 0 to 65535, got {port}")
    return port
