"""
Which quotes of one publish call are acknowledged, and which the caller should offer again.
"""

from collections.abc import Sequence

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

    def unacknowledged(self) -> list[int]:
        """
        Positions of what the store may not have, in order.
        """
        return [position for position, done in enumerate(self._acknowledged) if not done]

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
            unpublished=self._to_offer_again(),
            cause="; ".join(dict.fromkeys(self.causes)),
        )

    def _to_offer_again(self) -> tuple[Quote, ...]:
        succeeded: set[tuple[InstrumentId, str]] = set()
        found: list[Quote] = []
        for position in reversed(range(len(self.quotes))):
            quote = self.quotes[position]
            if self._acknowledged[position]:
                succeeded.add((quote.instrument, quote.source))
            elif (quote.instrument, quote.source) not in succeeded:
                found.append(quote)
        return tuple(reversed(found))
