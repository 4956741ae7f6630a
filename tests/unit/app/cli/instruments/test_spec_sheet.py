"""An instrument as text, at 80 columns."""

from decimal import Decimal
from unicodedata import east_asian_width

import pytest
from msgspec import structs

from chimera_s1.app.cli.instruments.spec_sheet import spec_sheet
from chimera_s1.domain.instruments.instrument import RegistryRow
from chimera_s1.domain.operations.active_configuration import RiskLimits
from tests.sample_instruments import BRACKETS, registry_row, with_content

CHINESE = registry_row(
    "perp/币安人生USDT", base_asset="币安人生", contract_type="TRADIFI_PERPETUAL"
)
FILTERS = (
    '{"filterType":"PRICE_FILTER","maxPrice":"4529764","minPrice":"556.80"}',
    '{"filterType":"MAX_NUM_ORDERS","limit":200}',
    (
        '{"filterType":"PERCENT_PRICE","multiplierDecimal":"4","multiplierDown":"0.9500",'
        '"multiplierUp":"1.0500","nested":{"a":[1,2]},"none":null}'
    ),
)
PERP = with_content(
    registry_row("perp/BTCUSDT", filters=FILTERS, underlying_sub_types=("PoW",)),
    leverage_brackets=structs.replace(
        BRACKETS,
        brackets=(
            *BRACKETS.brackets,
            structs.replace(
                BRACKETS.brackets[0],
                bracket=2,
                initial_leverage=20,
                notional_cap=Decimal(800_000),
                maintenance_margin_ratio=Decimal("0.0050"),
                cumulative=Decimal(300),
            ),
        ),
    ),
    funding_interval_h=8,
    risk=RiskLimits(rev=12, spread_bp_limit=2.5, depth_top1_usdt_min=20_000.0),
)
PERP_SHEET = """\
perp/BTCUSDT  TRADING

asset           BTC in USDT, margin in USDT
contract        PERPETUAL, COIN, PoW
price           step 0.1, from 556.8 up to 4529764
quantity        step 0.001, from 0.001 up to 1000
market order    step 0.001, from 0.001 up to 120
notional        from 100
order types     LIMIT, MARKET, STOP_MARKET
time in force   GTC, IOC, GTX
funding         every 8 h
leverage        of account live:1, caps times 1.5
                125x up to 300000, maintenance 0.4 %
                 20x up to 800000, maintenance 0.5 % less 300
first trade     2019-09-25T08:00 UTC
thresholds      spread up to 2.5 bp, depth from 20000 USDT, revision 12
other rule      MAX_NUM_ORDERS limit=200
other rule      PERCENT_PRICE multiplierDecimal=4 multiplierDown=0.9500
                multiplierUp=1.0500 nested={"a":[1,2]} none=null
registry        version 2, changed 1970-01-01T00:00:00 UTC
                last listed 1970-01-01T00:00:00 UTC"""

SPOT = with_content(registry_row("spot/BTCUSDT"), delisting_date=1_796_000_000_000)
SPOT_SHEET = """\
spot/BTCUSDT  TRADING

asset           BTC in USDT
price           step 0.01, from 0.01 up to 1000000
quantity        step 0.00001, from 0.00001 up to 9000
market order    step 0.00001, from 0.00001 up to 126
notional        from 5 up to 9000000
market notional from 5
order types     LIMIT, LIMIT_MAKER, MARKET, STOP_LOSS
order lists     OCO
delisting       2026-11-30T00:53 UTC
thresholds      none from S10
registry        version 2, changed 1970-01-01T00:00:00 UTC
                last listed 1970-01-01T00:00:00 UTC"""

GONE = with_content(
    registry_row(
        "perp/OLDUSDT",
        status="SETTLING",
        base_asset="OLD",
        tick_size=None,
        min_price=None,
        max_price=None,
        order_types=(),
        times_in_force=(),
        onboard_date=None,
    ),
    listed=False,
)
GONE_SHEET = """\
perp/OLDUSDT  SETTLING, no longer listed

asset           OLD in USDT, margin in USDT
contract        PERPETUAL, COIN
price           no rule
quantity        step 0.001, from 0.001 up to 1000
market order    step 0.001, from 0.001 up to 120
notional        from 100
order types     none
funding         none
leverage        not known: it needs an exchange key
thresholds      none from S10
registry        version 2, changed 1970-01-01T00:00:00 UTC
                last listed 1970-01-01T00:00:00 UTC"""


@pytest.mark.parametrize(
    ("row", "sheet"),
    [(PERP, PERP_SHEET), (SPOT, SPOT_SHEET), (GONE, GONE_SHEET)],
    ids=["perp", "spot", "delisted"],
)
def test_a_sheet_has_every_rule_and_date(row: RegistryRow, sheet: str) -> None:
    *lines, last = spec_sheet(row)

    assert "\n".join(lines) == sheet
    assert last == f"hash            {row.spec_hash}"


@pytest.mark.parametrize("row", [PERP, SPOT, GONE, CHINESE], ids=lambda row: str(row.instrument))
def test_a_sheet_has_at_most_80_columns(row: RegistryRow) -> None:
    """A Chinese character is two columns wide."""
    long_filter = '{"filterType":"TOMORROW","text":"' + "x" * 200 + '"}'
    content = structs.replace(
        row.content, spec=structs.replace(row.content.spec, filters=(long_filter,))
    )

    lines = spec_sheet(structs.replace(row, content=content))

    assert lines[0].startswith(f"{row.instrument}  ")
    assert max(sum(1 + (east_asian_width(each) == "W") for each in line) for line in lines) <= 80
    assert "".join(lines).count("x") >= 200


def test_chinese_names_are_shown_as_they_are() -> None:
    lines = spec_sheet(CHINESE)

    assert lines[0] == "perp/币安人生USDT  TRADING"
    assert lines[2] == "asset           币安人生 in USDT, margin in USDT"
