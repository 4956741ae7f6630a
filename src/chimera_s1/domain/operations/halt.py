"""The halt of trading that operators set: a small event-sourced state of its own ledger."""

from typing import TypeAlias, assert_never

from msgspec import Struct

REASON_CHARACTERS = range(1, 201)


class HaltBegan(Struct, frozen=True, tag="mode.halted"):
    """An operator has halted trading."""

    reason: str


class HaltEnded(Struct, frozen=True, tag="mode.resumed"):
    """An operator has resumed trading."""

    reason: str


HaltEvent: TypeAlias = HaltBegan | HaltEnded


class Halt(Struct, frozen=True):
    """Whether trading is halted, and the change that made it so.

    Attributes:
        actor: Of the last change; empty if there was none.
        since: Time of the last change, epoch ms; 0 if there was none.
    """

    halted: bool = False
    reason: str = ""
    actor: str = ""
    since: int = 0


def decide_halt(halt: Halt, *, halted: bool, reason: str) -> HaltEvent | None:
    """The event that makes it *halted*; None where it is so already."""
    if halt.halted == halted:
        return None
    return HaltBegan(reason) if halted else HaltEnded(reason)


def evolve_halt(event: HaltEvent, *, actor: str, at: int) -> Halt:
    match event:
        case HaltBegan(reason=reason):
            return Halt(halted=True, reason=reason, actor=actor, since=at)
        case HaltEnded(reason=reason):
            return Halt(halted=False, reason=reason, actor=actor, since=at)
        case _:
            assert_never(event)
