"""Keys pressed in a terminal, read one by one."""

import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


@contextmanager
def single_keys() -> Iterator[bool]:
    """Let `next_key` return each key at once; False where standard input is no terminal."""
    if not sys.stdin.isatty():
        yield False
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    # Ctrl-C stays a signal.
    tty.setcbreak(descriptor, termios.TCSADRAIN)
    try:
        yield True
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def next_key() -> str:
    """The next key, like `n`; empty at the end of input."""
    await anyio.wait_readable(sys.stdin.fileno())
    return os.read(sys.stdin.fileno(), 16).decode(errors="replace")
