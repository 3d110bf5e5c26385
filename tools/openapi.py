"""Compare the control plane's OpenAPI document with the copy in `docs/openapi.json`.

    python -m tools.openapi            # list the changes, and fail if there are any
    python -m tools.openapi --write    # write the copy, unless a change breaks clients
    python -m tools.openapi --write --breaking

A change breaks clients if a request that was valid may be refused, or if a response may lack
something that it had or contain something that a client does not expect. Such changes remove a
path, method, parameter, status, header field or field, make a parameter or field required, or
narrow a type or limit in requests or widen one in responses. New paths, optional fields of requests
and new fields of responses do not break clients.
"""

import json
import sys
from pathlib import Path

from kakuri_control_plane._api import Api
from kakuri_control_plane._openapi import document
from kakuri_json import loads
from kakuri_rpc import AgentClient
from kakuri_tcp import Endpoint

from tools.members import ROOT
from tools.openapi_changes import changes

STORED = ROOT / "docs" / "openapi.json"


def current() -> dict[str, object]:
    """Return the document of the control plane in this environment."""
    router = Api(AgentClient(Endpoint.parse("127.0.0.1:1"))).router()
    described: dict[str, object] = loads(document(router)[0])
    return described


def text_of(described: dict[str, object]) -> str:
    """Return a document as it is stored."""
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def run(arguments: list[str], stored: Path) -> str:
    """Compare or write a stored copy, and return what was found.

    Args:
        arguments: Those of the command line.
        stored: The copy.

    Raises:
        SystemExit: The documents differ, or the copy was not written.
    """
    described = current()
    before = json.loads(stored.read_text()) if stored.exists() else described
    found = changes(before, described)
    lines = "\n".join(map(str, found))
    is_broken = any(change.is_breaking for change in found)
    if "--write" in arguments:
        if is_broken and "--breaking" not in arguments:
            raise SystemExit(f"{lines}\nsome of these break clients; --breaking writes them")
        stored.write_text(text_of(described))
        return f"{lines}\nwrote {stored}".lstrip()
    if not stored.exists() or stored.read_text() != text_of(described):
        hint = f"{stored.name} is not the current document; python -m tools.openapi --write"
        raise SystemExit(f"{lines}\n{hint}".lstrip())
    return f"{stored.name} is the current document"


def main() -> None:
    """Compare, or write."""
    print(run(sys.argv[1:], STORED))


if __name__ == "__main__":
    main()
