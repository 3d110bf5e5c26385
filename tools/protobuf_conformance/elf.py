"""Lets a Linux program that was linked against a newer C library run on an older one.

The official runner is linked against glibc 2.38 and the libstdc++ of GCC 13, and needs nothing of
them that older ones lack: the names `__isoc23_strtol` and its siblings are what newer headers call
`strtol`, and `ios_base_library_init` is referred to and never called. So those names are changed
to the old ones, and the loader is not asked for the new versions.
"""

import os
import struct

NEW_PREFIX = b"__isoc23_"
NEVER_CALLED = b"_ZSt21ios_base_library_initv"
NEW_VERSIONS = {b"GLIBC_2.38", b"GLIBCXX_3.4.32"}

_DYNSYM, _VERNEED, _VERSYM = 11, 0x6FFFFFFE, 0x6FFFFFFF
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_WEAK = 2
_ANY_VERSION = 1
_MAY_LACK = 2


def needs_older_names() -> bool:
    """Return whether this system's C library is older than the runner's."""
    name, _, version = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")  # type: ignore[union-attr]
    return name == "glibc" and tuple(map(int, version.split(".")[:2])) < (2, 38)


def with_older_names(program: bytes) -> bytes:
    """Return a 64-bit little-endian ELF program that asks for no version in NEW_VERSIONS."""
    image = bytearray(program)
    sections = _sections(image)
    symbols, versions, needs = (
        next(one for one in sections if one[1] == kind) for kind in (_DYNSYM, _VERSYM, _VERNEED)
    )
    strings = sections[symbols[6]][4]
    new = _waive_versions(image, needs[4], sections[needs[6]][4])
    for index in range(symbols[5] // _SYMBOL.size):
        place, version = symbols[4] + index * _SYMBOL.size, versions[4] + index * 2
        if struct.unpack_from("<H", image, version)[0] not in new:
            continue
        name, info, *others = _SYMBOL.unpack_from(image, place)
        text = _text(image, strings + name)
        if text.startswith(NEW_PREFIX):
            name += len(NEW_PREFIX)
        elif text == NEVER_CALLED:
            info = _WEAK << 4 | info & 0xF
        else:
            raise ValueError(f"expected a symbol with an older name, got {text!r}")
        _SYMBOL.pack_into(image, place, name, info, *others)
        struct.pack_into("<H", image, version, _ANY_VERSION)
    return bytes(image)


def _sections(image: bytearray) -> list[tuple[int, ...]]:
    if image[:6] != b"\x7fELF\x02\x01":
        raise ValueError("expected a 64-bit little-endian ELF program")
    (offset,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    return [_SECTION.unpack_from(image, offset + index * size) for index in range(count)]


def _waive_versions(image: bytearray, offset: int, strings: int) -> set[int]:
    """Make the loader ignore the new versions; return their numbers."""
    new = set()
    while True:
        _, count, _, first, after = struct.unpack_from("<HHIII", image, offset)
        entry = offset + first
        for _ in range(count):
            _, flags, number, name, step = struct.unpack_from("<IHHII", image, entry)
            if _text(image, strings + name) in NEW_VERSIONS:
                struct.pack_into("<H", image, entry + 4, flags | _MAY_LACK)
                new.add(number)
            entry += step
        if not after:
            return new
        offset += after


def _text(image: bytearray, offset: int) -> bytes:
    return bytes(image[offset : image.index(0, offset)])
