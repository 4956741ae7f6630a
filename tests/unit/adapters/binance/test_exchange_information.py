"""Public reads: listed symbols, row by row."""

import msgspec
import pytest

from chimera_s1.adapters.binance.exchange_information import _contract_kind, _listing
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.instrument_selection import ContractKind, Listing


def test_a_status_that_is_not_known_is_not_trading() -> None:
    """Binance adds values; such a row is listed like any other."""
    row = b'{"symbol":"ETHBTC","status":"TRADING_HALT","quoteAsset":"BTC","filters":7}'

    assert _listing(Venue.SPOT, msgspec.Raw(row)) == Listing(
        InstrumentId(Venue.SPOT, Symbol("ETHBTC")), "BTC", trading=False
    )


@pytest.mark.parametrize(
    ("contract_type", "kind"),
    [
        ("PERPETUAL", ContractKind.PERPETUAL),
        ("TRADIFI_PERPETUAL", ContractKind.TRADFI),
        ("CURRENT_MONTH", ContractKind.DATED),
        ("NEXT_MONTH", ContractKind.DATED),
        ("CURRENT_QUARTER", ContractKind.DATED),
        ("NEXT_QUARTER", ContractKind.DATED),
        ("CURRENT_QUARTER DELIVERING", ContractKind.DATED),
        ("PERPETUAL DELIVERING", ContractKind.PERPETUAL),
        ("WEEKLY", None),
        ("", None),
    ],
)
def test_a_contract_type_has_a_kind(contract_type: str, kind: ContractKind | None) -> None:
    assert _contract_kind(contract_type) is kind
