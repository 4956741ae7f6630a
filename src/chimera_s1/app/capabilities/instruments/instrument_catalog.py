"""The registry's rows as this instance has applied them, in memory."""

from collections.abc import Iterable

from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec, RegistryRow
from chimera_s1.domain.market.instrument_selection import ContractKind, Listing, contract_kind
from chimera_s1.domain.ports.contract_reader import PerpetualContract

_TRADING = "TRADING"
_PERPETUAL = {ContractKind.PERPETUAL, ContractKind.TRADFI}


class InstrumentCatalog:
    """Implements `InstrumentReader` and `ContractReader` of `domain.ports`; the sync fills it."""

    def __init__(self) -> None:
        self._rows: dict[Venue, dict[InstrumentId, RegistryRow]] = {}
        self._listings: dict[Venue, tuple[Listing, ...]] = {}
        self._problems: dict[Venue, str] = {}
        self._changes = ChangeSignal()

    @property
    def version(self) -> int:
        return self._changes.version

    async def wait_changed(self, version: int) -> None:
        await self._changes.next_after(version)

    def listings(self, venue: Venue) -> tuple[Listing, ...] | None:
        return self._listings.get(venue)

    def problem(self, venue: Venue) -> str:
        return self._problems.get(venue, "")

    def perpetual_contracts(self) -> tuple[PerpetualContract, ...]:
        rows = self.rows_of(Venue.PERP)
        return tuple(
            _perpetual(row)
            for row in rows
            if contract_kind(row.content.spec.contract_type) in _PERPETUAL
        )

    def rows(self) -> tuple[RegistryRow, ...]:
        """All rows, by venue and symbol."""
        return tuple(row for venue in sorted(self._rows) for row in self.rows_of(venue))

    def rows_of(self, venue: Venue) -> tuple[RegistryRow, ...]:
        return tuple(self._rows.get(venue, {}).values())

    def find(self, instrument: InstrumentId) -> RegistryRow | None:
        return self._rows.get(instrument.venue, {}).get(instrument)

    def spec(self, instrument: InstrumentId) -> InstrumentSpec | None:
        row = self.find(instrument)
        return row.content.spec if row is not None and row.content.listed else None

    def put(self, venue: Venue, rows: Iterable[RegistryRow]) -> None:
        """Make *rows* the instruments of *venue*; readers wake if what they read has changed."""
        ordered = sorted(rows, key=lambda row: row.instrument)
        self._rows[venue] = {row.instrument: row for row in ordered}
        listings = tuple(listing_of(row) for row in ordered if row.content.listed)
        if listings != self._listings.get(venue):
            self._listings[venue] = listings
            self._changes.notify()

    def set_problem(self, venue: Venue, problem: str) -> None:
        """Note why the listing of *venue* is not known or not current; empty if it is."""
        if problem != self.problem(venue):
            self._problems[venue] = problem
            self._changes.notify()


def listing_of(row: RegistryRow) -> Listing:
    """What the market capability selects from."""
    spec = row.content.spec
    return Listing(
        spec.instrument,
        spec.quote_asset,
        spec.status == _TRADING,
        spec.contract_type,
        contract_kind(spec.contract_type),
    )


def _perpetual(row: RegistryRow) -> PerpetualContract:
    spec = row.content.spec
    return PerpetualContract(
        symbol=spec.instrument.symbol,
        trades=row.content.listed and spec.status == _TRADING,
        onboard_date=spec.onboard_date,
        delivery_date=spec.delivery_date,
        funding_interval_h=row.content.funding_interval_h,
    )
