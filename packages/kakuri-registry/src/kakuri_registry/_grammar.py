"""The grammars of what a submitter names: ids, image references, labels, variables, users.

The patterns are linear: no two alternatives of a repetition can begin with the same character,
so a near miss is refused in time proportional to its length.
"""

from dataclasses import dataclass

MAX_ID_LENGTH = 63
"""An RFC 1123 label; the id becomes part of host names, paths and runtime labels."""

MAX_IMAGE_LENGTH = 255
"""The longest image reference; registries allow a repository name of no more."""

_ALNUM = "[a-z0-9]"
WORKLOAD_ID = f"{_ALNUM}(?:[-a-z0-9]{{0,{MAX_ID_LENGTH - 2}}}{_ALNUM})?"
"""RFC 1123 section 2.1, lower case, one label."""

# Image references, by the rule names of the OCI distribution project's grammar.
_DOMAIN_COMPONENT = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN_NAME = rf"{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*"
_IPV6_ADDRESS = r"\[[a-fA-F0-9:]+\]"
_DOMAIN = f"(?:{_DOMAIN_NAME}|{_IPV6_ADDRESS})(?::[0-9]+)?"
_PATH_COMPONENT = f"{_ALNUM}+(?:(?:\\.|__?|-+){_ALNUM}+)*"
_NAME = f"(?:{_DOMAIN}/)?{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
# Only registered algorithms (OCI image specification, "Registered algorithms"): anything else
# could not be verified.
_DIGEST = "(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})"
IMAGE_REFERENCE = f"{_NAME}(?::{_TAG})?(?:@{_DIGEST})?"

# A program's argument and environment are C strings: no NUL (execve(2)).
C_STRING = r"[^\0]*"
ABSOLUTE_PATH = r"/[^\0]*"

VARIABLE_NAME = "[A-Za-z_][A-Za-z0-9_]*"
"""A name that every shell can say (POSIX.1-2017, Base Definitions, 8.1)."""

USER = "[0-9]{1,9}(?::[0-9]{1,9})?|[a-z_][a-z0-9_-]{0,31}"
"""A user id, with a group id if there is a colon; or a name that the image knows."""

# Labels follow the syntax that container tools share: [prefix/]name. What the node itself keeps
# its books under, or acts upon (containerd restarts what has containerd.io/restart.status), can't
# be submitted.
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
    """A constraint on text, to stand in `Annotated`.

    A codec recognizes it by its attributes: the text must match `pattern` as a whole and have at
    most `max_length` characters; `description` says in words what is expected.
    """

    pattern: str
    max_length: int
    description: str


@dataclass(frozen=True, slots=True)
class Range:
    """A constraint on a number, to stand in `Annotated`: from `ge` to `le`, both included."""

    ge: int
    le: int


@dataclass(frozen=True, slots=True)
class MaxLength:
    """A constraint on a list or a mapping, to stand in `Annotated`: at most this many items."""

    max_length: int
