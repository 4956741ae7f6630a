"""Port: quotes back from their streams, for people and tools."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId


class PublishedQuote(Struct, frozen=True):
    """A stream entry, as consumers see it.

    Attributes:
        entry_id: The stream's own id, `1772514460893-0`.

        instrument: Whose stream.

        fields: Names and values in the order they were written.
    """

    entry_id: str
    instrument: InstrumentId
    fields: tuple[tuple[str, str], ...]


class QuoteReader(Protocol):
    """Reads `mkt:events:*`."""

    async def instruments(self) -> tuple[InstrumentId, ...]:
        """Every instrument that has a quote stream, in order.

        Raises:
            PublisherUnavailableError: The store could not be reached.
        """
        ...

    async def newest(self, instruments: Sequence[InstrumentId]) -> tuple[PublishedQuote, ...]:
        """The newest entry of each stream that has one, in the order asked.

        Raises:
            PublisherUnavailableError: The store could not be reached.
        """
        ...

    async def history(self, instrument: InstrumentId, count: int) -> tuple[PublishedQuote, ...]:
        """The last *count* entries of one stream, oldest first.

        Raises:
            PublisherUnavailableError: The store could not be reached.
        """
        ...
