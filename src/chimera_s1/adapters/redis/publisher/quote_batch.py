"""Which quotes of one publish call are acknowledged, and which to publish again."""

from collections.abc import Iterable, Sequence

import anyio

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublishReport

_UNSENT, _ACKNOWLEDGED, _UNCERTAIN, _ID_REFUSED = range(4)


class QuoteBatch:
    """The quotes of one call; positions are indexes into `quotes`.

    Attributes:
        ended: Whether the call has returned; its report no longer changes.
        redirects: Redirects followed so far, by position.
    """

    def __init__(self, quotes: Sequence[Quote]) -> None:
        self.quotes = quotes
        self.causes: list[str] = []
        self.ended = False
        self.redirects: dict[int, int] = {}
        self._states = bytearray(len(quotes))
        self._changed = anyio.Event()

    async def wait_for_change(self) -> None:
        """Until the next reply to these quotes, or the next change of one of their connections."""
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()

    def notify_change(self) -> None:
        self._changed.set()

    def acknowledge(self, position: int) -> None:
        self._states[position] = _ACKNOWLEDGED

    def acknowledge_all(self, positions: Iterable[int]) -> None:
        states = self._states
        for position in positions:
            states[position] = _ACKNOWLEDGED

    def mark_uncertain(self, positions: Iterable[int]) -> None:
        """Sent, with no reply yet."""
        for position in positions:
            self._states[position] = _UNCERTAIN

    def refuse(self, position: int) -> None:
        """The server replied that it did not write the quote."""
        self._states[position] = _UNSENT

    def refuse_id(self, position: int) -> None:
        """The stream holds an id that is not below that of the quote."""
        self._states[position] = _ID_REFUSED

    def is_uncertain(self, position: int) -> bool:
        return self._states[position] == _UNCERTAIN

    def unpublished(self) -> list[int]:
        """Positions to publish again, in order; not those superseded by a newer quote of the same
        instrument and source that is, or may be, on the stream.
        """
        superseded: set[tuple[InstrumentId, str]] = set()
        found: list[int] = []
        for position in reversed(range(len(self.quotes))):
            quote, state = self.quotes[position], self._states[position]
            key = quote.instrument, quote.source
            if state in {_UNSENT, _UNCERTAIN} and key not in superseded:
                found.append(position)
            if state != _UNSENT:
                superseded.add(key)
        return found[::-1]

    @property
    def published(self) -> int:
        return self._states.count(_ACKNOWLEDGED)

    def refused(self) -> list[int]:
        """Positions whose id was refused, in order."""
        return [p for p, state in enumerate(self._states) if state == _ID_REFUSED]

    @property
    def settled(self) -> int:
        """How many were acknowledged or refused by their id."""
        return self.published + self._states.count(_ID_REFUSED)

    def report(self) -> PublishReport:
        if self.published == len(self.quotes):
            return PublishReport(published=self.published)
        return PublishReport(
            published=self.published,
            unpublished=tuple(self.quotes[position] for position in self.unpublished()),
            refused=tuple(self.quotes[position] for position in self.refused()),
            cause="; ".join(dict.fromkeys(self.causes)),
        )
