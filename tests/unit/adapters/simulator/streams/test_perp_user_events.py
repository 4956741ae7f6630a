"""Events of the futures desk in the shapes of Binance's user stream."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import build_symbols
from chimera_s1.adapters.simulator.matching.events import (
    AccountEvent,
    AlgoEvent,
    ConfigEvent,
    OrderEvent,
    PerpEvent,
)
from chimera_s1.adapters.simulator.matching.perp_settings import PerpSettings
from chimera_s1.adapters.simulator.matching.records import (
    AlgoOrder,
    Balance,
    Order,
    Position,
    Trade,
)
from chimera_s1.adapters.simulator.streams.perp_user_events import PerpUserEvents
from chimera_s1.domain.identifiers import Venue

ORDER_FIELDS = "s c S o f q p ap sp x X i l z L T t b a m R wt ot ps cp pP si ss rp V pm gtd er"
ALGO_FIELDS = "caid aid at o s S ps f q X ai ap aq act tp p V wt pm cp pP R tt gtd rm"
LIGHT_FIELDS = "e E T s q p m c S L l t i"
POSITION_FIELDS = "s pa ep bep cr up mt iw ps ma"
AT_MS = 1_772_879_465_650
ORDER = Order(
    venue=Venue.PERP,
    symbol="BTCUSDT",
    order_id=8886774,
    client_id="s1-a",
    side="BUY",
    type="LIMIT",
    status="NEW",
    qty=Decimal("0.010"),
    price=Decimal("67000.0"),
    time_in_force="GTX",
    created_ms=AT_MS,
    updated_ms=AT_MS,
)
TRADE = Trade(
    venue=Venue.PERP,
    symbol="BTCUSDT",
    trade_id=10910,
    order_id=8886774,
    client_id="s1-a",
    side="BUY",
    qty=Decimal("0.010"),
    price=Decimal(67000),
    commission=Decimal("0.13400000"),
    commission_asset="USDT",
    maker=True,
    realized=Decimal("-1.5"),
    at_ms=AT_MS,
)
FILLED = replace(ORDER, status="FILLED", filled_qty=Decimal("0.010"), filled_quote=Decimal(670))
ALGO = AlgoOrder(
    symbol="BTCUSDT",
    algo_id=2148719,
    client_id="s1-stop",
    side="SELL",
    type="STOP_MARKET",
    status="NEW",
    qty=Decimal("0.010"),
    trigger=Decimal(65000),
    reduce_only=True,
    created_ms=AT_MS,
    updated_ms=AT_MS,
)
POSITION = Position(
    symbol="BTCUSDT",
    side="BOTH",
    qty=Decimal("0.010"),
    entry_price=Decimal(67000),
    updated_ms=AT_MS,
)


def frames(event: PerpEvent) -> list[dict[str, Any]]:
    market = Market(build_symbols(("BTCUSDT",)), 1, AT_MS)
    settings = PerpSettings(margin_types={"BTCUSDT": "ISOLATED"})
    return list(PerpUserEvents(market, settings).frames(event, AT_MS + 1))


def order_frames(order: Order, execution: str, trade: Trade | None = None) -> list[dict[str, Any]]:
    return frames(OrderEvent(order=order, execution=execution, number=1, at_ms=AT_MS, trade=trade))


def test_a_new_order_has_neither_trade_nor_commission() -> None:
    [frame] = order_frames(ORDER, "NEW")
    order = frame["o"]

    assert (frame["e"], frame["E"], frame["T"]) == ("ORDER_TRADE_UPDATE", AT_MS + 1, AT_MS)
    assert list(order) == ORDER_FIELDS.split()
    assert (order["x"], order["X"], order["c"], order["i"]) == ("NEW", "NEW", "s1-a", 8886774)
    assert (order["q"], order["p"], order["f"]) == ("0.01", "67000", "GTX")
    assert (order["l"], order["z"], order["t"], order["rp"]) == ("0", "0", 0, "0")


def test_a_trade_is_sent_as_a_light_one_first() -> None:
    light, update = order_frames(FILLED, "TRADE", TRADE)
    order = update["o"]

    assert light["e"] == "TRADE_LITE"
    assert list(light) == LIGHT_FIELDS.split()
    assert order.keys() == {*ORDER_FIELDS.split(), "N", "n"}
    assert (light["t"], light["l"], light["L"], light["i"]) == (10910, "0.01", "67000", 8886774)
    assert (order["x"], order["X"], order["t"], order["m"]) == ("TRADE", "FILLED", 10910, True)
    assert (order["l"], order["L"], order["z"], order["ap"]) == ("0.01", "67000", "0.01", "67000")
    assert (order["N"], order["n"], order["rp"]) == ("USDT", "0.134", "-1.5")


def test_an_expired_order_says_why() -> None:
    [frame] = order_frames(replace(ORDER, status="EXPIRED", reason_code=2), "EXPIRED")

    assert (frame["o"]["X"], frame["o"]["er"]) == ("EXPIRED", "2")


@pytest.mark.parametrize(("child", "linked"), [(0, ""), (8886799, "8886799")])
def test_an_algo_order_names_its_child(child: int, linked: str) -> None:
    [frame] = frames(AlgoEvent(algo=replace(ALGO, child_id=child), at_ms=AT_MS))
    algo = frame["o"]

    assert frame["e"] == "ALGO_UPDATE"
    assert list(algo) == ALGO_FIELDS.split()
    assert (algo["aid"], algo["caid"], algo["ai"]) == (2148719, "s1-stop", linked)
    assert (algo["X"], algo["tp"], algo["R"], algo["rm"]) == ("NEW", "65000", True, "")


def test_an_account_update_has_what_changed() -> None:
    balance = Balance(asset="USDT", free=Decimal("999.5"))
    [frame] = frames(
        AccountEvent(
            reason="ORDER",
            balances=(balance,),
            positions=(POSITION, replace(POSITION, qty=Decimal(0), entry_price=Decimal(0))),
            at_ms=AT_MS,
        )
    )
    account = frame["a"]

    assert (frame["e"], account["m"]) == ("ACCOUNT_UPDATE", "ORDER")
    assert account["B"] == [{"a": "USDT", "wb": "999.5", "cw": "999.5", "bc": "0"}]
    held, closed = account["P"]
    assert list(held) == POSITION_FIELDS.split()
    assert (held["s"], held["pa"], held["ep"], held["mt"]) == (
        "BTCUSDT",
        "0.01",
        "67000",
        "isolated",
    )
    assert Decimal(held["up"]) != 0
    assert (closed["pa"], closed["ep"], closed["up"]) == ("0", "0", "0")


def test_funding_of_a_cross_position_is_a_balance_without_a_position() -> None:
    balance = Balance(asset="USDT", free=Decimal(990))
    [frame] = frames(
        AccountEvent(
            reason="FUNDING_FEE",
            balances=(balance,),
            positions=(),
            at_ms=AT_MS,
            change=Decimal(-10),
        )
    )

    assert (frame["a"]["m"], frame["a"]["P"]) == ("FUNDING_FEE", [])
    assert frame["a"]["B"][0]["bc"] == "-10"


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        (ConfigEvent(at_ms=AT_MS, symbol="BTCUSDT", leverage=5), {"ac": {"s": "BTCUSDT", "l": 5}}),
        (ConfigEvent(at_ms=AT_MS, multi_assets=True), {"ai": {"j": True}}),
    ],
)
def test_a_changed_setting_is_sent(event: ConfigEvent, changed: dict[str, Any]) -> None:
    [frame] = frames(event)

    assert frame == {"e": "ACCOUNT_CONFIG_UPDATE", "E": AT_MS + 1, "T": AT_MS, **changed}
