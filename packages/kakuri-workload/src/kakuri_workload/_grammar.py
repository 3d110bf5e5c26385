"""Patterns of ids, image references, labels, variables and users, and constraints for `Annotated`.

The patterns take linear time: no two alternatives in a repetition can begin with the same
character, so even a string that almost matches is rejected in time proportional to its length.
"""

from dataclasses import dataclass

MAX_ID_LENGTH = 63
"""Maximum length of an RFC 1123 label; an id becomes part of host names, paths and labels."""

MAX_IMAGE_LENGTH = 255
"""Maximum length of an image reference; registries do not allow longer repository names."""

MAX_NAME_LENGTH = 32
"""Maximum length of the name of a user or a group (useradd(8))."""

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
"""The digest of an image, with a registered algorithm (OCI image specification, "Registered
algorithms"), because no other could be verified."""
# By the grammar, `sha256:…` is a name with a tag, and 64 hexadecimal digits are a name. But
# runtimes treat both as the id of an image or a prefix of one, and run that image without asking a
# registry.
_NO_ID = r"(?!sha(?:256|384|512):|[a-f0-9]{64}\Z)"
IMAGE_REFERENCE = f"{_NO_ID}{_NAME}(?::{_TAG})?(?:@{DIGEST})?"

# A program's argument and environment are C strings: no NUL (execve(2)).
C_STRING = r"[^\0]*"

# Not in /proc or /sys, where a directory can lead to the host (CVE-2024-21626), nor in /dev/fd, a
# link into /proc, nor with `.` and `..`, which could disguise these paths.
_END = r"(?:/|\Z)"
WORKING_DIRECTORY = rf"(?!/+(?:proc|sys|dev/+fd){_END})(?:/(?!\.\.?{_END})[^/\0]*)+"

# Characters without a glyph: controls, line separators and directional formatting.
_UNPRINTABLE = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)

VARIABLE_NAME = f"[^={_UNPRINTABLE}]+"
"""A name that execve(2) allows, in printable text: Kubernetes' relaxed rule, extended beyond
ASCII."""

# 0 to 2**32 - 2; the largest 32-bit number means "no id" in chown(2) and setresuid(2).
_UNIX_ID = (
    "(?:[0-9]{1,9}|[0-3][0-9]{9}|4[01][0-9]{8}|42[0-8][0-9]{7}|429[0-3][0-9]{6}|4294[0-8][0-9]{5}"
    "|42949[0-5][0-9]{4}|429496[0-6][0-9]{3}|4294967[01][0-9]{2}|42949672[0-8][0-9]|429496729[0-4])"
)
# Exactly the names that Debian's useradd accepts; a name that consists of digits is an id.
_UNIX_NAME = (
    rf"(?=[0-9]*[^0-9:])[^\s:,/+~{_UNPRINTABLE}-][^\s:,/{_UNPRINTABLE}]{{0,{MAX_NAME_LENGTH - 1}}}"
)
USER = f"(?:{_UNIX_ID}|{_UNIX_NAME})(?::(?:{_UNIX_ID}|{_UNIX_NAME}))?"
"""A user by id or by a name that the image knows, with a group by id or name after a colon."""

# Labels have the usual syntax of container tools: [prefix/]name. Reserved are prefixes under which
# the node stores its own labels, or whose labels it acts on (containerd restarts containers that
# have containerd.io/restart.status).
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
    """A constraint on strings, for `Annotated`.

    A codec recognizes it by its attributes: the whole string must match `pattern` and have at most
    `max_length` characters. Error messages quote `description` after "expected".
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
    """A constraint on the number of items of a list or mapping, for `Annotated`."""

    max_length: int
