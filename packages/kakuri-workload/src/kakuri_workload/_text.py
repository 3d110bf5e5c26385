"""Sanitizes text from other programs: registries, runtimes, peers."""


def printable(text: str, max_length: int) -> str:
    r"""Make text from another program safe to store, send, log and show on a terminal.

    Call it where the text enters the process, so that all later code can rely on it. Characters
    that `str.isprintable` rejects become Python escapes (`\x9b`, `\u202e`): C0 and C1 controls,
    bidirectional and other format characters, line and paragraph separators, lone surrogates,
    private and unassigned code points. Text that is printable and short enough is returned
    unchanged, so the function is idempotent.

    Args:
        text: The text that the other program sent.
        max_length: Maximum length of the result in characters; longer text is truncated with an
            ellipsis.
    """
    if len(text) <= max_length and text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: max_length + 1])
    return shown if len(shown) <= max_length else f"{shown[: max_length - 1]}…"
