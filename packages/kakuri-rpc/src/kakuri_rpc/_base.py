"""How messages are written as JSON.

Messages have no base class: kakuri-json constructs an instance of a class without one faster, and
an agent and a control plane do hardly anything else.
"""

from typing import Any

REQUEST: dict[str, Any] = {"tag": "type", "omit_defaults": True}
"""Of requests: an unknown field is an error."""

REPLY: dict[str, Any] = {"tag": "type", "omit_defaults": True, "unknown": "ignore"}
"""Of replies: fields of a newer agent are ignored."""
