"""The bearer token of a context."""

import re

from kakuri._contexts import Context, endpoint_of, expanded
from kakuri._exits import UsageError

MAX_TOKEN = 8000
"""Maximum characters of a token. One that lists a user's groups has thousands; many servers limit a
header line to 8 KiB."""

_CREDENTIAL = rf"[!-~]{{1,{MAX_TOKEN}}}"
"""A bearer token (RFC 6750 section 2.1), or any other printable ASCII that servers accept."""


def authorization(context: Context) -> dict[str, str]:
    """Return the header field with the token of a context; none if it has no token.

    Raises:
        UsageError: The token's file can't be read or has no valid token, or the token would be sent
            unencrypted.
    """
    if not context.token_file:
        return {}
    check_transport(context)
    from kakuri._sources import read_text_file, unreadable  # noqa: PLC0415 (only with a token)

    try:
        token = read_text_file(expanded(context.token_file)).strip()
    except (OSError, ValueError) as error:
        raise unreadable(f"the token file {context.token_file}", error) from error
    if not re.fullmatch(_CREDENTIAL, token):  # the error must not show the token
        message = "expected a token of 1 to 8000 printable ASCII characters, without spaces"
        got = "other characters" if 0 < len(token) <= MAX_TOKEN else f"{len(token)} characters"
        raise UsageError(f"{context.token_file}: {message}, got {got}")
    return {"Authorization": f"Bearer {token}"}


def check_transport(context: Context) -> None:
    """Raise UsageError if a token would be sent to another machine unencrypted (RFC 6750, 5.3)."""
    host = context.host
    if context.token_file and host.startswith("http:") and not endpoint_of(host).is_loopback:
        raise UsageError(
            f"{host}: the token would be sent to another machine unencrypted: use https"
        )
