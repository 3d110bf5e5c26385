"""The JSON options of messages.

Messages have no base class, because kakuri-json constructs instances of such classes faster, and
agents and control planes do hardly anything else.
"""

from typing import Any

REQUEST: dict[str, Any] = {"tag": "type", "omit_defaults": True}
"""The options of requests: an unknown field is an error."""

REPLY: dict[str, Any] = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}
"""The options of replies: unknown fields, which a newer agent may send, are ignored."""

# For speed, the two most frequent lines bypass the general encoder and decoder. Tests compare them
# with the result of `encode` for the same messages.

START_LINE = b'{"type":"StartWorkload","workload":%b%b%b%b}'
"""The line of a StartWorkload, with its encoded workload, then DRY_RUN, WITH_VERSION and TRACE,
each of which may be empty."""

DRY_RUN = b',"dry_run":true'
WITH_VERSION = b',"with_version":true'
TRACE = b',"trace":"%b"'

PENDING_LINE = b'{"type":"Status","id":"%b","state":"Pending"}'
"""The line of the usual reply to a new workload: a Status with its id and default values."""
