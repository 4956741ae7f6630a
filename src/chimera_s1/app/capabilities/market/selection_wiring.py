"""The parts of the market capability that decide which instruments are served."""

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from chimera_s1.app.capabilities.market.configured_choice import ConfiguredChoice
from chimera_s1.app.capabilities.market.constant_choice import ConstantChoice
from chimera_s1.app.capabilities.market.serve_feed import SelectionFollower, ServeFeed
from chimera_s1.app.capabilities.market.settings import MarketSettings
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.market.selection_change import KeptInstrument
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.ports.instrument_reader import InstrumentReader
from chimera_s1.domain.ports.market_feed import MarketFeed
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.symbol_choice import SymbolChoice


class FollowedSelection(Struct, frozen=True):
    workers: tuple[Worker, ...]
    health: tuple[HealthSource, ...]


def make_selection(
    settings: MarketSettings,
    operations: Operations,
    instruments: InstrumentReader,
    feeds: Sequence[MarketFeed],
    follower: SelectionFollower,
) -> FollowedSelection:
    """What each feed serves, from the instruments and the choice of symbols."""
    choice = _symbol_choice(settings, operations)
    servers = tuple(
        ServeFeed(
            feed,
            instruments,
            choice,
            held=operations.held_symbols,
            shard=settings.shard,
            follower=follower,
            report_unknown_contract=partial(_report_unknown_contract, operations),
            report_kept=partial(_report_kept, operations),
        )
        for feed in feeds
    )
    return FollowedSelection(
        workers=tuple(Worker(f"feed.{server.venue}", server.run) for server in servers),
        health=tuple(
            HealthSource(f"feed.{s.venue.value}", s.report, required=True) for s in servers
        ),
    )


def _report_kept(operations: Operations, kept: KeptInstrument) -> None:
    detail: EventDetail = {
        "instrument": str(kept.instrument),
        "holders": kept.holders,
        "cause": kept.cause,
    }
    operations.outbox.record("feed.instrument_kept", detail)


def _symbol_choice(settings: MarketSettings, operations: Operations) -> SymbolChoice:
    choice = settings.symbol_filter
    if choice is not None:
        return ConstantChoice(choice)
    assert operations.configuration is not None, "S1_SYMBOLS=s10 without S1_S10_URL"
    return ConfiguredChoice(operations.configuration)


def _report_unknown_contract(operations: Operations, contract_type: str, example: str) -> None:
    operations.outbox.record(
        "listing.contract_unknown", {"contract_type": contract_type, "example": example}
    )
