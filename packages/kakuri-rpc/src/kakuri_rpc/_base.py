"""How messages are written as JSON.

Messages have no base class: kakuri-json constructs an instance of a class without one faster, and
an agent and a control plane do hardly anything else.
"""

from typing import Any

REQUEST: dict[str, Any] = {"tag": "type", "omit_defaults": True}
"""Of requests: an unknown field is an error."""

REPLY: dict[str, Any] = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}
"""Of replies: fields of a newer agent are ignored."""

# The two most frequent lines are written and recognized without the general encoder and decoder,
# for speed. Tests compare them with what `encode` returns for the same messages.

START_LINE = b'{"type":"StartWorkload","workload":%b%b%b%b}'
"""The line of a StartWorkload: its encoded workload, then DRY_RUN, WITH_VERSION and TRACE, each
empty if the request does not have it."""

DRY_RUN = b',"dry_run":true'
WITH_VERSION = b',"with_version":true'
TRACE = b',"trace":"%b"'

PENDING_LINE = b'{"type":"Status","id":"%b","state":"Pending"}'
"""The line of the usual reply to a new workload: a Status with its id, and all else by default."""
