"""The users among whom slots and turns are shared."""

from kakuri_http import Request


def user_of(request: Request) -> str:
    """Return who sent a request: a user of this machine if the server knows it, or an address.

    Every local process may use all loopback addresses, so without a user these count as one.
    """
    if request.uid is not None:
        return f"uid={request.uid}"
    host = str(request.peer).rpartition(":")[0].strip("[]")
    return "loopback" if host.startswith("127.") or host == "::1" else host
