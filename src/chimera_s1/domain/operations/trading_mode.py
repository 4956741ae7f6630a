"""Trading mode: what the service may still do with money, as a state that changes by events."""

from enum import StrEnum
from typing import assert_never

from msgspec import Struct, structs


class TradingMode(StrEnum):
    """NORMAL does everything; MANAGE_ONLY refuses new entries and lets cancels, stops and closes
    through; HALTED refuses all that spends.
    """

    NORMAL = "NORMAL"
    MANAGE_ONLY = "MANAGE_ONLY"
    HALTED = "HALTED"


class ConnectionFailed(Struct, frozen=True):
    """A market data connection is FATAL: prices cannot be trusted."""

    connection: str


class ConnectionRecovered(Struct, frozen=True):
    """The connection delivers again."""

    connection: str


class TradingHalted(Struct, frozen=True):
    """An operator or a rule has stopped everything."""


class TradingResumed(Struct, frozen=True):
    """The stop is over."""


ModeEvent = ConnectionFailed | ConnectionRecovered | TradingHalted | TradingResumed


class ModeState(Struct, frozen=True):
    """The facts that limit trading.

    Attributes:
        failed: Names of the connections that are FATAL.
    """

    failed: frozenset[str] = frozenset()
    halted: bool = False

    @property
    def mode(self) -> TradingMode:
        """The most careful mode that a fact asks for."""
        if self.halted:
            return TradingMode.HALTED
        return TradingMode.MANAGE_ONLY if self.failed else TradingMode.NORMAL


def evolve(state: ModeState, event: ModeEvent) -> ModeState:
    """The state after *event*."""
    match event:
        case ConnectionFailed(connection=name):
            return structs.replace(state, failed=state.failed | {name})
        case ConnectionRecovered(connection=name):
            return structs.replace(state, failed=state.failed - {name})
        case TradingHalted():
            return structs.replace(state, halted=True)
        case TradingResumed():
            return structs.replace(state, halted=False)
        case _:
            assert_never(event)
