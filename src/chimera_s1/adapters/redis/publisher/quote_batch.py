"""Which quotes of one publish call are acknowledged, and which the caller should offer again."""

from collections.abc import Iterable, Sequence

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublishReport

_UNSENT, _ACKNOWLEDGED, _UNCERTAIN = range(3)


class QuoteBatch:
    """The quotes of one call, addressed by their position in it."""

    def __init__(self, quotes: Sequence[Quote]) -> None:
        self.quotes = quotes
        self.causes: list[str] = []
        self._states = bytearray(len(quotes))

    def acknowledge(self, position: int) -> None:
        """The store has the quote at *position*."""
        self._states[position] = _ACKNOWLEDGED

    def acknowledge_all(self, positions: Iterable[int]) -> None:
        """The store has the quotes at *positions*."""
        states = self._states
        for position in positions:
            states[position] = _ACKNOWLEDGED

    def mark_uncertain(self, positions: Iterable[int]) -> None:
        """The store was sent the quotes at *positions* and has not said whether it took them."""
        for position in positions:
            self._states[position] = _UNCERTAIN

    def refuse(self, position: int) -> None:
        """The store has answered that it did not take the quote at *position*."""
        self._states[position] = _UNSENT

    def unpublished(self) -> list[int]:
        """Positions of what may be sent again, in order.

        A quote with a newer one of its instrument and source that is, or may be, on the stream is
        left out: sent again, it would come after its successor.
        """
        succeeded: set[tuple[InstrumentId, str]] = set()
        found: list[int] = []
        for position in reversed(range(len(self.quotes))):
            quote, state = self.quotes[position], self._states[position]
            key = quote.instrument, quote.source
            if state != _ACKNOWLEDGED and key not in succeeded:
                found.append(position)
            if state != _UNSENT:
                succeeded.add(key)
        return found[::-1]

    @property
    def published(self) -> int:
        """Entries acknowledged."""
        return self._states.count(_ACKNOWLEDGED)

    def report(self) -> PublishReport:
        """What became of the call."""
        if self.published == len(self.quotes):
            return PublishReport(published=self.published)
        return PublishReport(
            published=self.published,
            unpublished=tuple(self.quotes[position] for position in self.unpublished()),
            cause="; ".join(dict.fromkeys(self.causes)),
        )
