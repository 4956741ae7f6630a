"""Trading mode: a state that changes by events."""

from enum import StrEnum
from typing import assert_never

from msgspec import Struct, structs


class TradingMode(StrEnum):
    """MANAGE_ONLY refuses new entries but allows cancels, stops and closes; HALTED also refuses
    transfers.
    """

    NORMAL = "NORMAL"
    MANAGE_ONLY = "MANAGE_ONLY"
    HALTED = "HALTED"


class ConnectionFailed(Struct, frozen=True):
    """A market data connection is FATAL."""

    connection: str


class ConnectionRecovered(Struct, frozen=True):
    """The connection delivers data again."""

    connection: str


class TradingHalted(Struct, frozen=True):
    """An operator or a rule has halted trading."""


class TradingResumed(Struct, frozen=True):
    """The halt has ended."""


class HaltUnknown(Struct, frozen=True):
    """Whether trading is halted cannot be known any more."""


ModeEvent = ConnectionFailed | ConnectionRecovered | TradingHalted | TradingResumed | HaltUnknown


class ModeState(Struct, frozen=True):
    """What limits trading.

    Attributes:
        failed: Names of FATAL connections.
        halted: None until the store was read, and once what it holds cannot be understood.
    """

    failed: frozenset[str] = frozenset()
    halted: bool | None = None

    @property
    def mode(self) -> TradingMode:
        """The most restrictive mode that applies; HALTED while that is not known."""
        if self.halted is not False:
            return TradingMode.HALTED
        return TradingMode.MANAGE_ONLY if self.failed else TradingMode.NORMAL


def evolve(state: ModeState, event: ModeEvent) -> ModeState:
    match event:
        case ConnectionFailed(connection=name):
            return structs.replace(state, failed=state.failed | {name})
        case ConnectionRecovered(connection=name):
            return structs.replace(state, failed=state.failed - {name})
        case TradingHalted():
            return structs.replace(state, halted=True)
        case TradingResumed():
            return structs.replace(state, halted=False)
        case HaltUnknown():
            return structs.replace(state, halted=None)
        case _:
            assert_never(event)
