"""The body of `/xchg/mode`."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.trading_mode.read_mode import CurrentMode
from chimera_s1.domain.operations.halt import Halt
from chimera_s1.domain.operations.trading_gate import Spending
from chimera_s1.domain.operations.trading_mode import TradingMode

_POSITIONS = {True: "on", False: "off", None: "unknown"}


class ModeView(Struct, frozen=True, kw_only=True):
    """The trading mode, the kill switch, and what they refuse now."""

    mode: Annotated[
        TradingMode,
        Meta(
            description="The most restrictive mode that applies; HALTED until the store was read.",
            examples=["NORMAL"],
        ),
    ]
    halted: Annotated[
        bool | None,
        Meta(
            description="Whether an operator has halted trading, for all instances; null: the "
            "store was not read yet.",
            examples=[False],
        ),
    ]
    reason: Annotated[
        str,
        Meta(description="Of the last halt or resume; empty if there was none.", examples=[""]),
    ]
    actor: Annotated[str, Meta(description="Of the same.", examples=[""])]
    since: Annotated[
        int, Meta(description="When it was, epoch ms; 0 if there was none.", examples=[0])
    ]
    failed_connections: Annotated[
        tuple[str, ...],
        Meta(description="Connections out of retries: MANAGE_ONLY.", examples=[[]]),
    ]
    kill_switch: Annotated[
        str,
        Meta(
            description="Its last value; unknown: it was never read.",
            pattern="^(on|off|unknown)$",
            examples=["off"],
        ),
    ]
    transfers_refused: Annotated[
        str,
        Meta(description="Why no transfer is accepted; empty if they are.", examples=[""]),
    ]
    entries_refused: Annotated[
        str,
        Meta(description="Why no new entry is accepted; empty if they are.", examples=[""]),
    ]

    @classmethod
    def of(cls, current: CurrentMode) -> Self:
        halt = current.halt or Halt()
        return cls(
            mode=current.mode,
            halted=None if current.halt is None else halt.halted,
            reason=halt.reason,
            actor=halt.actor,
            since=halt.since,
            failed_connections=current.failed,
            kill_switch=_POSITIONS[current.kill_switch_on],
            transfers_refused=current.refusals[Spending.TRANSFER],
            entries_refused=current.refusals[Spending.ENTRY],
        )
