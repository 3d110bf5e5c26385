"""The first process of every pod, as a program of 226 bytes: assembled here, no compiler needed.

It holds the pod's namespaces open, leaves no zombies, and ends with 0 on SIGTERM and SIGINT. No
signal handler is needed for that: the kernel itself reaps the children, adopted ones too, of a
process that ignores SIGCHLD; and the two signals are blocked and waited for. (A shell with a trap
and a loop would do until its `sleep` can't be started for some reason; then the loop spins.)
"""

import signal
import struct

# Where the file is mapped, all of it readable and executable.
_BASE = 0x400000

# The headers of an ELF file for x86-64 with one segment (System V ABI, chapters 4 and 5).
_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_HEADERS = _ELF_HEADER.size + _PROGRAM_HEADER.size

# System call numbers of Linux on x86-64; arguments are in rdi, rsi, rdx, r10.
_RT_SIGACTION, _RT_SIGPROCMASK, _RT_SIGTIMEDWAIT, _EXIT = 13, 14, 128, 60

# struct sigaction of the kernel: handler (1 is SIG_IGN), flags, restorer, mask.
_IGNORE = struct.pack("<QQQQ", 1, 0, 0, 0)

_WAITED_FOR = struct.pack("<Q", 1 << signal.SIGTERM - 1 | 1 << signal.SIGINT - 1)


def _code(data: int) -> bytes:
    """Assemble the instructions; `data` is where _IGNORE and then _WAITED_FOR lie in memory."""
    waited_for = _word(data + len(_IGNORE))
    start = b"".join(
        (
            b"\xbf" + _word(signal.SIGCHLD),  # mov edi, SIGCHLD
            b"\xbe" + _word(data),  #           mov esi, ignore
            b"\x31\xd2",  #                     xor edx, edx           no old action, nor old mask
            b"\x41\xba" + _word(8),  #          mov r10d, 8            bytes of a mask
            b"\xb8" + _word(_RT_SIGACTION),  #  mov eax, rt_sigaction
            b"\x0f\x05",  #                     syscall
            b"\x31\xff",  #                     xor edi, edi           SIG_BLOCK
            b"\xbe" + waited_for,  #            mov esi, waited_for
            b"\xb8" + _word(_RT_SIGPROCMASK),  # mov eax, rt_sigprocmask
            b"\x0f\x05",  #                     syscall
        )
    )
    wait = b"".join(
        (
            b"\xbf" + waited_for,  #            mov edi, waited_for
            b"\x31\xf6",  #                     xor esi, esi           no siginfo; edx: no timeout
            b"\xb8" + _word(_RT_SIGTIMEDWAIT),  # mov eax, rt_sigtimedwait
            b"\x0f\x05",  #                     syscall
            b"\x85\xc0",  #                     test eax, eax
        )
    )
    again = b"\x78" + struct.pack("<b", -len(wait) - 2)  # js wait      interrupted
    leave = b"".join(
        (
            b"\x31\xff",  #                     xor edi, edi
            b"\xb8" + _word(_EXIT),  #          mov eax, exit
            b"\x0f\x05",  #                     syscall
        )
    )
    return start + wait + again + leave


def _word(value: int) -> bytes:
    return struct.pack("<I", value)


def program() -> bytes:
    """Return the program as an ELF file."""
    code = _code(_BASE + _HEADERS + len(_code(0)))
    content = code + _IGNORE + _WAITED_FOR
    size = _HEADERS + len(content)
    executable, x86_64, version, one_header = 2, 62, 1, 1
    identity = b"\x7fELF" + bytes([2, 1, version])  # 64 bits, little-endian
    header = _ELF_HEADER.pack(
        identity, executable, x86_64, version, _BASE + _HEADERS, _ELF_HEADER.size, 0, 0,
        _ELF_HEADER.size, _PROGRAM_HEADER.size, one_header, 0, 0, 0,
    )  # fmt: skip
    load, read_and_execute, page = 1, 5, 0x1000
    segment = _PROGRAM_HEADER.pack(load, read_and_execute, 0, _BASE, _BASE, size, size, page)
    return header + segment + content
