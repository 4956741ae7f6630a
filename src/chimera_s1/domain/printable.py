"""Texts of others, made safe for a terminal and a log.

A control character can move the cursor, hide or repeat text, or start what looks like another log
line; a bidirectional one reverses what is read. All of them are not printable in Unicode's sense.
"""


def escape_unprintable(text: str) -> str:
    r"""*text* on one line, without control characters: `\n` and `\x1b` as in source code."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escape_lines(text: str, indent: str = "") -> str:
    """As `escape_unprintable` for each line; *indent* starts all but the first."""
    if text.isprintable():
        return text
    return f"\n{indent}".join(map(escape_unprintable, text.split("\n")))


def escape_json(encoded: str) -> str:
    r"""*encoded*, JSON on one or more lines, with `\u009b` in place of what is not printable."""
    if encoded.isascii() and "\x7f" not in encoded:
        return encoded
    return "".join(c if c.isprintable() or c == "\n" else _json_escape(c) for c in encoded)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
