"""Patterns of ids, image references, labels, variables and users, and constraints for `Annotated`.

The patterns take linear time: no two alternatives of a repetition can begin with the same
character, so a text that almost matches is refused in time proportional to its length.
"""

from dataclasses import dataclass

MAX_ID_LENGTH = 63
"""An RFC 1123 label; the id becomes part of host names, paths and runtime labels."""

MAX_IMAGE_LENGTH = 255
"""The longest image reference; registries do not allow longer repository names."""

MAX_NAME_LENGTH = 32
"""Characters of a user's or a group's name (useradd(8))."""

_ALNUM = "[a-z0-9]"
WORKLOAD_ID = f"{_ALNUM}(?:[-a-z0-9]{{0,{MAX_ID_LENGTH - 2}}}{_ALNUM})?"
"""RFC 1123 section 2.1, lower case, one label."""

TRACE_ID = "(?!0{32})[0-9a-f]{32}"
"""A trace id of W3C Trace Context (section 3.2.2.3)."""

# Image references, by the rule names of the OCI distribution project's grammar.
_DOMAIN_COMPONENT = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN_NAME = rf"{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*"
_IPV6_ADDRESS = r"\[[a-fA-F0-9:]+\]"
_DOMAIN = f"(?:{_DOMAIN_NAME}|{_IPV6_ADDRESS})(?::[0-9]+)?"
_PATH_COMPONENT = f"{_ALNUM}+(?:(?:\\.|__?|-+){_ALNUM}+)*"
_NAME = f"(?:{_DOMAIN}/)?{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
DIGEST = "(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})"
"""The digest of an image, by a registered algorithm (OCI image specification, "Registered
algorithms"): any other could not be verified."""
# `sha256:…` would be a name with a tag, and 64 hexadecimal digits a name, but runtimes treat them
# as the id of an image or a prefix of one, and run that image without asking a registry.
_NO_ID = r"(?!sha(?:256|384|512):|[a-f0-9]{64}\Z)"
IMAGE_REFERENCE = f"{_NO_ID}{_NAME}(?::{_TAG})?(?:@{DIGEST})?"

# A program's argument and environment are C strings: no NUL (execve(2)).
C_STRING = r"[^\0]*"

# Not in /proc or /sys, where a directory can lead to the host (CVE-2024-21626), nor in /dev/fd, a
# link into /proc, nor with `.` and `..`, which lead there under another name.
_END = r"(?:/|\Z)"
WORKING_DIRECTORY = rf"(?!/+(?:proc|sys|dev/+fd){_END})(?:/(?!\.\.?{_END})[^/\0]*)+"

# Characters without a glyph: controls, line separators and directional formatting.
_UNPRINTABLE = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)

VARIABLE_NAME = f"[^={_UNPRINTABLE}]+"
"""A name as execve(2) allows it, of printable text: Kubernetes' relaxed rule and beyond ASCII."""

# 0 to 2**32 - 2; the largest of 32 bits stands for "no id" in chown(2) and setresuid(2).
_UNIX_ID = (
    "(?:[0-9]{1,9}|[0-3][0-9]{9}|4[01][0-9]{8}|42[0-8][0-9]{7}|429[0-3][0-9]{6}|4294[0-8][0-9]{5}"
    "|42949[0-5][0-9]{4}|429496[0-6][0-9]{3}|4294967[01][0-9]{2}|42949672[0-8][0-9]|429496729[0-4])"
)
# Debian's useradd accepts exactly these names; a name of digits alone is an id.
_UNIX_NAME = (
    rf"(?=[0-9]*[^0-9:])[^\s:,/+~{_UNPRINTABLE}-][^\s:,/{_UNPRINTABLE}]{{0,{MAX_NAME_LENGTH - 1}}}"
)
USER = f"(?:{_UNIX_ID}|{_UNIX_NAME})(?::(?:{_UNIX_ID}|{_UNIX_NAME}))?"
"""A user by id or by a name that the image knows, with a group by id or name after a colon."""

# Labels follow the syntax that container tools share: [prefix/]name. Prefixes under which the node
# stores its own labels, or whose labels it acts upon (containerd restarts containers that have
# containerd.io/restart.status), can't be submitted.
_LABEL_WORD = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL_PREFIX = f"{_DOMAIN_COMPONENT}(?:\\.{_DOMAIN_COMPONENT})*"
_RESERVED = (
    r"(?!(?i:(?:[a-z0-9.-]*\.)?(?:kakuri\.dev|kubernetes\.io|k8s\.io|containerd\.io|edera\.dev)/"
    r"|dev\.edera\b|nerdctl/|io\.(?:kubernetes|containerd|cri-containerd)\b))"
)
LABEL_KEY = f"{_RESERVED}(?:{_LABEL_PREFIX}/)?{_LABEL_WORD}"
LABEL_VALUE = f"(?:{_LABEL_WORD})?"


@dataclass(frozen=True, slots=True)
class Text:
    """A constraint on text, for `Annotated`.

    A codec recognizes it by its attributes: the whole text must match `pattern` and have at most
    `max_length` characters; `description` is what its error messages expect.
    """

    pattern: str
    max_length: int
    description: str


@dataclass(frozen=True, slots=True)
class Range:
    """A constraint on a number, for `Annotated`: from `ge` to `le`, both included."""

    ge: int
    le: int


@dataclass(frozen=True, slots=True)
class MaxLength:
    """A constraint on a list or a mapping, for `Annotated`: at most this many items."""

    max_length: int
