"""Port: reading published quotes, for people and tools."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId


class PublishedQuote(Struct, frozen=True):
    """A stream entry as consumers see it; *fields* are names and values in stream order."""

    entry_id: str
    instrument: InstrumentId
    fields: tuple[tuple[str, str], ...]


class QuoteReader(Protocol):
    """Reads `mkt:events:*`; calls may raise `PublisherUnavailableError`."""

    async def instruments(self) -> tuple[InstrumentId, ...]:
        """Every instrument that has a quote stream, sorted."""
        ...

    async def newest(self, instruments: Sequence[InstrumentId]) -> tuple[PublishedQuote, ...]:
        """The newest entry of each stream that has one, in the order of *instruments*."""
        ...

    async def last_entries(
        self, instruments: Collection[InstrumentId]
    ) -> Mapping[InstrumentId, PublishedQuote | None]:
        """The newest entry of each stream, None for an empty one.

        Returns within a bounded time and never raises: streams whose node does not answer are left
        out, the others do not wait for them.
        """
        ...

    async def history(self, instrument: InstrumentId, count: int) -> tuple[PublishedQuote, ...]:
        """The last *count* entries of one stream, oldest first."""
        ...
