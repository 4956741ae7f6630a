"""
Which quotes of one publish call are acknowledged, and which the caller should offer again.
"""

from collections.abc import Iterable, Iterator, Sequence

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublishReport


class Batch:
    """
    The quotes of one call, addressed by their position in it.
    """

    def __init__(self, quotes: Sequence[Quote]) -> None:
        self.quotes = quotes
        self.causes: list[str] = []
        self._acknowledged = bytearray(len(quotes))

    def acknowledge(self, position: int) -> None:
        """
        The store has the quote at *position*.
        """
        self._acknowledged[position] = 1

    def unacknowledged(self, positions: Iterable[int]) -> list[int]:
        """
        Those of *positions* that the store may not have.
        """
        return [position for position in positions if not self._acknowledged[position]]

    def chunks(self, size: int) -> Iterator[list[int]]:
        """
        Positions to write, at most *size* at a time, to be acknowledged before the next are asked.

        A stream with an unacknowledged quote takes no later one: it would come before it.
        """
        blocked: set[InstrumentId] = set()
        for start in range(0, len(self.quotes), size):
            positions: Sequence[int] = range(start, min(start + size, len(self.quotes)))
            if blocked:
                positions = [p for p in positions if self.quotes[p].instrument not in blocked]
            yield list(positions)
            blocked.update(self.quotes[p].instrument for p in self.unacknowledged(positions))

    @property
    def published(self) -> int:
        """
        Entries acknowledged.
        """
        return self._acknowledged.count(1)

    def report(self) -> PublishReport:
        """
        What became of the call.

        A quote with a newer acknowledged one of its instrument and source is left out: offered
        again, it would come after its successor.
        """
        if self.published == len(self.quotes):
            return PublishReport(published=self.published)
        return PublishReport(
            published=self.published,
            unpublished=self._unacknowledged(),
            cause="; ".join(dict.fromkeys(self.causes)),
        )

    def _unacknowledged(self) -> tuple[Quote, ...]:
        succeeded: set[tuple[InstrumentId, str]] = set()
        found: list[Quote] = []
        for position in reversed(range(len(self.quotes))):
            quote = self.quotes[position]
            if self._acknowledged[position]:
                succeeded.add((quote.instrument, quote.source))
            elif (quote.instrument, quote.source) not in succeeded:
                found.append(quote)
        return tuple(reversed(found))
