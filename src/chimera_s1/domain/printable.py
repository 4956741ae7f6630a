"""Texts from outside, before a terminal, a log or an answer shows them."""


def escape_unprintable(text: str) -> str:
    r"""*text* on one line, without control characters: `\n` and `\x1b` as in source code."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
