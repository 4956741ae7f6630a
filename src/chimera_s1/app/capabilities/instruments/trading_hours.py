"""When TradFi contracts trade, by the venue's schedule."""

from collections.abc import Mapping

from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.instruments.trading_session import TradingSession, is_off_session
from chimera_s1.domain.ports.instrument_source import InstrumentSource


class TradingHours:
    """Implements `domain.ports.trading_sessions.TradingSessions`; `read` fills it.

    Args:
        catalog: Says of which underlying type an instrument is.
    """

    def __init__(self, catalog: InstrumentCatalog) -> None:
        self._catalog = catalog
        self._sessions: Mapping[str, tuple[TradingSession, ...]] = {}

    def is_open(self, instrument: InstrumentId, now_ms: int) -> bool:
        row = self._catalog.find(instrument)
        if row is None:
            return True
        sessions = self._sessions.get(row.content.spec.underlying_type, ())
        return not is_off_session(sessions, now_ms)

    async def read(self, source: InstrumentSource) -> str:
        """Read the schedule of the coming days; what it has, for the operator.

        Raises:
            ExchangeUnavailableError, ExchangeRefusedError: The last one read holds.
        """
        self._sessions = await source.trading_sessions()
        count = sum(map(len, self._sessions.values()))
        return f"{count} sessions of {len(self._sessions)} underlying types"
