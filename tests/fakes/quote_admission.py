"""The admission of a process that is alone with its streams."""

from collections.abc import Sequence

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.market.quote import Quote


class AdmitAll:
    """Implements `QuoteAdmission`: every quote, with its natural id."""

    publishing = True

    def __init__(self) -> None:
        self.changes = ChangeSignal()

    def admit(self, quotes: Sequence[Quote]) -> Sequence[Quote]:
        return quotes

    def keep(self, quotes: Sequence[Quote]) -> None:
        raise AssertionError(f"{len(quotes)} quotes kept, although this process publishes")

    async def resolve(self, refused: Sequence[Quote]) -> Sequence[Quote]:
        raise AssertionError(f"{len(refused)} ids refused, although this process is alone")
