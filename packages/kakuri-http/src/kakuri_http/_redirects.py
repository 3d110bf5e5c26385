"""Where a redirect leads, for clients that were asked to follow some (RFC 9110 15.4)."""

from dataclasses import dataclass, replace

from kakuri_tcp import Endpoint

from kakuri_http._errors import InvalidUrl
from kakuri_http._headers import Headers
from kakuri_http._request_body import Content
from kakuri_http._response import Response
from kakuri_http._url import parse_url, resolve

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = 303
_MAY_REPLACE_POST = frozenset({301, 302})
_SECRETS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True)
class Hop:
    """One request on the way."""

    method: str
    url: str
    headers: Headers
    body: Content


def next_hop(hop: Hop, response: Response, through: Endpoint | None) -> Hop | None:
    """Return the request that a redirect asks for, or None where the response is final.

    GET replaces POST as browsers do it (RFC 9110 15.4.2), and any method after 303 (15.4.4).
    Credentials stay with their origin. Content that came in pieces has been sent and can't be sent
    again, so the redirect is then the response.

    Raises:
        InvalidUrl: the location is not an http or https URL, or leads from https to http.

    """
    location = response.headers.get("location")
    if response.status not in _REDIRECTS or location is None:
        return None
    here = parse_url(hop.url, through)
    url = resolve(location, here)
    there = parse_url(url, through)
    if here.origin.startswith("https:") and not there.origin.startswith("https:"):
        raise InvalidUrl(f"expected a location with https, got {location!r}")
    if there.origin != here.origin:
        kept = [field for field in hop.headers if field[0].lower() not in _SECRETS]
        hop = replace(hop, headers=Headers(kept))
    replaces_post = response.status in _MAY_REPLACE_POST and hop.method == "POST"
    if replaces_post or (response.status == _SEE_OTHER and hop.method not in {"GET", "HEAD"}):
        kept = [field for field in hop.headers if not field[0].lower().startswith("content-")]
        return Hop("GET", url, Headers(kept), b"")
    if not isinstance(hop.body, bytes):
        return None
    return replace(hop, url=url)
