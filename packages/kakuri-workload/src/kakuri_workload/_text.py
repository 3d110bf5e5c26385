"""Text from other programs: registries, runtimes, peers."""


def printable(text: str, max_length: int) -> str:
    r"""Return foreign text as it may be stored, sent, logged and shown on a terminal.

    Call it where the text enters the process; everything after that can rely on it. Characters
    that `str.isprintable` does not count as printable are written as Python escapes (`\x9b`,
    `\u202e`): controls of both sets, bidirectional and other format characters, line and
    paragraph separators, lone surrogates, private and unassigned code points. A text that is
    already printable and short enough is returned unchanged, so calling it twice changes nothing.

    Args:
        text: What the other program sent.
        max_length: Characters of the result; a longer one ends with an ellipsis.
    """
    if len(text) <= max_length and text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: max_length + 1])
    return shown if len(shown) <= max_length else f"{shown[: max_length - 1]}…"
