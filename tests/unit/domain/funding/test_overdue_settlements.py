"""When the newest settlement of a contract is missing, and when it is not known."""

from decimal import Decimal

import pytest

from chimera_s1.domain.funding.coverage import FundingGap, GapKind, RateCoverage
from chimera_s1.domain.funding.gaps import GapSearch
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.funding.settlement_times import OFF_GRID_MS, ContractFacts
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

MIDNIGHT = 1_793_923_200_000
BTC, ETH, OTHER = Symbol("BTCUSDT"), Symbol("ETHUSDT"), Symbol("SOLUSDT")


def record(symbol: Symbol, hour: int) -> FundingRecord:
    time = MIDNIGHT + hour * HOUR_MS
    return FundingRecord(
        key=SettlementKey(time, symbol, REGULAR),
        rate=Decimal("0.0001"),
        mark_price=None,
        content_hash="",
        first_seen_at=time,
    )


def gaps(eth_through: int | None) -> tuple[FundingGap, ...]:
    """At 20:00, of contracts that settle every 8 h: most are read and complete, ETHUSDT has
    no record after 08:00 and is read through *eth_through*.
    """
    coverage = {
        symbol: RateCoverage(
            symbol=symbol, verified_from=MIDNIGHT - 24 * HOUR_MS, verified_through=through
        )
        for symbol, through in ((BTC, MIDNIGHT + 19 * HOUR_MS), (ETH, eth_through))
        if through is not None
    }
    facts = ContractFacts(interval_h=8)
    search = GapSearch(
        start=MIDNIGHT,
        exchange_ms=MIDNIGHT + 20 * HOUR_MS,
        coverage=coverage | {OTHER: coverage[BTC]},
        contracts={BTC: facts, ETH: facts},
        symbol=ETH,
    )
    search.take(record(symbol, hour) for hour in (-16, -8, 0, 8) for symbol in (BTC, ETH))
    search.take([record(BTC, 16)])
    return search.conclude()


def test_a_settlement_that_the_read_history_lacks_is_not_published() -> None:
    [gap] = gaps(MIDNIGHT + 16 * HOUR_MS - OFF_GRID_MS)

    assert (gap.kind, gap.start) == (GapKind.NOT_PUBLISHED, MIDNIGHT + 16 * HOUR_MS)


@pytest.mark.parametrize("through", [None, MIDNIGHT + 9 * HOUR_MS])
def test_of_a_history_that_is_not_read_so_far_it_is_not_known(through: int | None) -> None:
    """The exchange may have published it."""
    assert {gap.kind for gap in gaps(through)} == {GapKind.NOT_VERIFIED}
