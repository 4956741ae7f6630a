"""What an instance publishes, as a test says."""

from collections.abc import Set as AbstractSet

from chimera_s1.domain.identifiers import Symbol, Venue


class FakePublication:
    """Implements `domain.ports.publication.Publication`; all symbols are perpetual contracts."""

    def __init__(self, *symbols: str) -> None:
        self.term = 1
        self.symbols = {Symbol(each) for each in symbols}

    def served(self, venue: Venue) -> AbstractSet[Symbol]:
        return self.symbols if venue is Venue.PERP else frozenset()
