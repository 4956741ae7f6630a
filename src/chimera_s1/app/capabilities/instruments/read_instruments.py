"""Read the registry: one instrument, or a page of those that match."""

from hashlib import sha256
from itertools import islice

from msgspec import Struct

from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import RegistryRow

PAGE_MAX = 1_000


class InstrumentUnknownError(ChimeraError):
    """The registry has no such instrument."""

    code = "instruments.unknown"


class InstrumentFilter(Struct, frozen=True, kw_only=True):
    """What to list; None and an empty set mean all.

    Attributes:
        status, contract_type, quote_asset: In the venue's words, in upper case.
    """

    venue: Venue | None = None
    symbols: frozenset[Symbol] = frozenset()
    status: str | None = None
    contract_type: str | None = None
    quote_asset: str | None = None

    def matches(self, row: RegistryRow) -> bool:
        spec = row.content.spec
        return (
            (self.venue is None or self.venue is spec.instrument.venue)
            and (self.status is None or self.status == spec.status)
            and (self.contract_type is None or self.contract_type == spec.contract_type)
            and (self.quote_asset is None or self.quote_asset == spec.quote_asset)
            and (not self.symbols or spec.instrument.symbol in self.symbols)
        )


def entity_tag(row: RegistryRow) -> str:
    """Changes with the content (RFC 9110, 8.8.3); weak, because `checked_at` may differ."""
    return f'W/"{_state(row)}"'


def _state(row: RegistryRow) -> str:
    # With the version: a content may return to what it was.
    return f"{row.version}-{row.spec_hash[:32]}"


class InstrumentPage(Struct, frozen=True):
    """Attributes:
    following: The last instrument of the page; None on the last page.
    """

    rows: tuple[RegistryRow, ...]
    following: InstrumentId | None

    def entity_tag(self) -> str:
        """Changes with the content of any row of the page; weak as that of a row."""
        texts = [f"{row.instrument} {_state(row)}" for row in self.rows]
        end = "" if self.following is None else "more"
        return f'W/"{sha256(chr(10).join([*texts, end]).encode()).hexdigest()[:32]}"'


class ReadInstruments:
    """Reads memory."""

    def __init__(self, catalog: InstrumentCatalog) -> None:
        self._catalog = catalog

    def get(self, instrument: InstrumentId) -> RegistryRow:
        """Raises:
        InstrumentUnknownError: There is no such instrument.
        """
        row = self._catalog.find(instrument)
        if row is None:
            problem = self._catalog.problem(instrument.venue)
            why = f"; the listing is not current: {problem}" if problem else ""
            raise InstrumentUnknownError(
                f"{instrument} is not in the registry{why}; GET /xchg/instruments lists what is"
            )
        return row

    def page(
        self, chosen: InstrumentFilter, *, limit: int, after: InstrumentId | None = None
    ) -> InstrumentPage:
        """At most *limit* rows behind *after*, by venue and symbol."""
        matching = (
            row
            for row in self._catalog.rows()
            if (after is None or row.instrument > after) and chosen.matches(row)
        )
        rows = tuple(islice(matching, limit + 1))
        following = rows[limit - 1].instrument if len(rows) > limit else None
        return InstrumentPage(rows[:limit], following)
