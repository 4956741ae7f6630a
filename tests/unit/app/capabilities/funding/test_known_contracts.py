"""Which settlements are expected of a contract, from its row in the registry."""

import pytest

from chimera_s1.app.capabilities.funding.known_contracts import KnownContracts
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.identifiers import Symbol, Venue
from tests.sample_instruments import registry_row, with_content

LISTED_AT, STAYS = 1_567_965_300_000, 4_133_404_800_000
DELISTED_AT = 1_796_000_000_000


def facts(**fields: object) -> ContractFacts:
    dates = {"onboard_date": LISTED_AT, "delivery_date": STAYS}
    row = registry_row("perp/AUSDT", **(dates | fields))
    catalog = InstrumentCatalog()
    catalog.put(Venue.PERP, [with_content(row, funding_interval_h=4)])
    return KnownContracts(catalog).facts()[Symbol("AUSDT")]


def test_a_contract_that_trades_is_expected_to_settle_from_its_listing_on() -> None:
    assert facts() == ContractFacts(expects_from=LISTED_AT, interval_h=4)


@pytest.mark.parametrize("status", ["TRADING", "SETTLING", "CLOSE"])
def test_a_delisted_contract_is_expected_to_settle_until_its_delivery(status: str) -> None:
    assert facts(status=status, delivery_date=DELISTED_AT).expects_until == DELISTED_AT


@pytest.mark.parametrize("status", ["PENDING_TRADING", "TRADING_HALT", "NEW_WORD"])
def test_a_contract_that_does_not_trade_is_expected_to_settle_never(status: str) -> None:
    assert facts(status=status).expects_until == 0


def test_dated_contracts_have_no_funding() -> None:
    catalog = InstrumentCatalog()
    rows = [registry_row("perp/BTCUSDT_270326", contract_type="CURRENT_QUARTER")]
    catalog.put(
        Venue.PERP, [*rows, registry_row("perp/XAUUSDT", contract_type="TRADIFI_PERPETUAL")]
    )
    assert [*KnownContracts(catalog).facts()] == ["XAUUSDT"]


def test_a_settlement_that_the_stream_has_shown_is_due() -> None:
    catalog = InstrumentCatalog()
    catalog.put(Venue.PERP, [registry_row("perp/AUSDT")])
    contracts = KnownContracts(catalog)
    contracts.on_settled(Symbol("AUSDT"), DELISTED_AT)
    contracts.on_settled(Symbol("UNKNOWNUSDT"), DELISTED_AT)
    assert [each.due_at for each in contracts.facts().values()] == [DELISTED_AT]
