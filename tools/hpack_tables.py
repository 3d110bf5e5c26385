"""Writes the HPACK tables of kakuri-http2: `python -m tools.hpack_tables rfc7541.xml`.

The static table is Appendix A, the Huffman code Appendix B. The RFC's XML is published by the
HTTP working group and the RFC editor.
"""

import re
import sys
from pathlib import Path

MODULE = Path(__file__).parent.parent / "packages/kakuri-http2/src/kakuri_http2/hpack/_tables.py"

_ENTRY = re.compile(r"<c>(\d+)</c><c>([^<]+)</c><c>([^<]*)</c>")
_CODE = re.compile(r"\( *(\d+)\) +\|[01|]+ +([0-9a-f]+) +\[ *(\d+)\]")

HEAD = '''\
"""The tables of HPACK. Generated from RFC 7541 by tools/hpack_tables.py; do not edit."""

# fmt: off
'''


def tables(xml: str) -> str:
    """Return the module's source.

    Raises:
        ValueError: The text is not that of RFC 7541.
    """
    entries = [(name, value) for _, name, value in _ENTRY.findall(xml)]
    codes = {
        int(number): (int(code, 16), int(length)) for number, code, length in _CODE.findall(xml)
    }
    if len(entries) != 61 or sorted(codes) != list(range(257)):
        raise ValueError(f"expected 61 entries and 257 codes, got {len(entries)} and {len(codes)}")
    lines = [HEAD, "STATIC_TABLE: tuple[tuple[bytes, bytes], ...] = ("]
    lines += [f"    ({name.encode()!r}, {value.encode()!r})," for name, value in entries]
    lines += [
        ")",
        '"""Appendix A; its first entry has index 1."""',
        "",
        "HUFFMAN_CODES: tuple[tuple[int, int], ...] = (",
    ]
    for first in range(0, 257, 4):
        numbers = range(first, min(first + 4, 257))
        row = ", ".join(f"({codes[one][0]:#x}, {codes[one][1]})" for one in numbers)
        lines.append(f"    {row},")
    lines += [
        ")",
        '"""Appendix B: code and length in bits of each byte, and of the end of a string last."""',
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    MODULE.write_text(tables(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
