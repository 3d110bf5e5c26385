"""The grammar of RFC 9110, RFC 9112 and RFC 3986 as expressions over bytes, by the RFCs' names.

Every expression is meant for `fullmatch` and takes linear time: adjacent parts never begin with the
same character, so backtracking never finds another match. Only sets of characters are repeated
possessively, never groups: before 3.11.5, `re` matches `(?:…)*+` and `(?:…)?+` wrongly (CPython
gh-100061, gh-106052), and Debian 12 has 3.11.2.
"""

import re

# RFC 9110 5.6.2
TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN = TCHAR + rb"++"
# RFC 9110 5.5: visible characters, obs-text, and SP and HTAB between them; values are stripped
# before they are matched. Other control characters do not match, so no CR, LF or NUL (RFC 9110 5.5
# allows replacing or rejecting NUL and CR; they are rejected).
FIELD_VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"
# RFC 9110 5.6.4
_QDTEXT = rb"[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]*+"
QUOTED_STRING = rb'"' + _QDTEXT + rb"(?:\\[\t\x20-\x7e\x80-\xff]" + _QDTEXT + rb')*"'

# RFC 3986 2.2, 2.3, 3.3 and 3.4; a '%' is only ever followed by two hexadecimal digits
_UNRESERVED_AND_DELIMS = rb"A-Za-z0-9\-._~!$&'()*+,;="
_PATH_CHARS = rb"[" + _UNRESERVED_AND_DELIMS + rb":@/]*+"
ABSOLUTE_PATH = rb"/" + _PATH_CHARS + rb"(?:%[0-9A-Fa-f]{2}" + _PATH_CHARS + rb")*"
# Beyond RFC 3986, a query may contain what browsers, node and Go leave unencoded there: the
# printable characters outside the query percent-encode set of the WHATWG's URL standard. None of
# them has a meaning in a query.
_QUERY_CHARS = rb"[" + _UNRESERVED_AND_DELIMS + rb":@/?\[\]|{}\\^`]*+"
QUERY = _QUERY_CHARS + rb"(?:%[0-9A-Fa-f]{2}" + _QUERY_CHARS + rb")*"
# RFC 3986 3.2.2. Percent-encoded names are not allowed: they would be a second spelling that could
# bypass allow-lists of hosts. A host may not be empty (RFC 9110 4.2.1).
REG_NAME = rb"[" + _UNRESERVED_AND_DELIMS + rb"]++"
IP_LITERAL = rb"\[[0-9A-Fa-f:.]++\]"
AUTHORITY = rb"(" + IP_LITERAL + rb"|" + REG_NAME + rb")(?::([0-9]*+))?"

_EXPRESSIONS = {
    "token": TOKEN,
    "field_value": FIELD_VALUE,
    "authority": AUTHORITY,
    "origin_form": rb"(" + ABSOLUTE_PATH + rb")(?:\?(" + QUERY + rb"))?",
    # RFC 3986 4.3 without userinfo, which RFC 9110 4.2.4 tells recipients to treat as an error
    "absolute_form": rb"([A-Za-z][A-Za-z0-9+\-.]*+)://([^/?#@]*+)("
    + ABSOLUTE_PATH
    + rb")?(?:\?("
    + QUERY
    + rb"))?",
    "http_version": rb"HTTP/([0-9])\.([0-9])",
    # RFC 9112 4; the SP after the code may be missing (many servers leave it out with the phrase)
    "status_line": rb"HTTP/1\.([0-9]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?",
    "content_length": rb"[0-9]++",
    # RFC 9112 7.1 and 7.1.1: of the white space that chunk-ext allows, only that after ';'
    "chunk_line": rb"([0-9A-Fa-f]++)((?:;[ \t]*+"
    + TOKEN
    + rb"(?:=(?:"
    + TOKEN
    + rb"|"
    + QUOTED_STRING
    + rb"))?)*)",
}
token: re.Pattern[bytes]
field_value: re.Pattern[bytes]
authority: re.Pattern[bytes]
origin_form: re.Pattern[bytes]
absolute_form: re.Pattern[bytes]
http_version: re.Pattern[bytes]
status_line: re.Pattern[bytes]
content_length: re.Pattern[bytes]
chunk_line: re.Pattern[bytes]


def __getattr__(name: str) -> re.Pattern[bytes]:
    """Compile an expression on first use: a client needs only half of them."""
    if name not in _EXPRESSIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    expression = globals()[name] = re.compile(_EXPRESSIONS[name])
    return expression
