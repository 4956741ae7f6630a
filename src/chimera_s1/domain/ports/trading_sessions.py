"""Port: when the market of an instrument is open; TradFi contracts have sessions."""

from typing import Protocol

from chimera_s1.domain.identifiers import InstrumentId


class TradingSessions(Protocol):
    """Reads memory."""

    def is_open(self, instrument: InstrumentId, now_ms: int) -> bool:
        """False only where the venue's schedule says that *instrument* does not trade at *now_ms*
        (epoch ms); an instrument without a known schedule is open.
        """
        ...


class _AlwaysOpen:
    """Implements `TradingSessions` where no schedule is known."""

    def is_open(self, instrument: InstrumentId, now_ms: int) -> bool:  # noqa: ARG002
        return True


ALWAYS_OPEN: TradingSessions = _AlwaysOpen()
