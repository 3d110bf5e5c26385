"""The bases of all messages."""

from typing import Any, ClassVar


class AnyRequest:
    """The base of requests: an unknown field is an error."""

    __slots__ = ()
    __json__: ClassVar[dict[str, Any]] = {"tag": "type", "omit_defaults": True}


class AnyReply:
    """The base of replies: fields of a newer agent are ignored."""

    __slots__ = ()
    __json__: ClassVar[dict[str, Any]] = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}
