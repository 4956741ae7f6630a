"""The account's configuration is read, its problems are said, its changes are noticed."""

import pytest
from msgspec.structs import replace

from chimera_s1.app.capabilities.execution.check_account import CheckAccount
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.execution.account_configuration import (
    AccountConfiguration,
    SymbolConfiguration,
)
from chimera_s1.domain.execution.events import OrderRefused, RefusalReason
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.observation import observe
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.exchange_account import FakeExchangeAccount
from tests.fakes.manual_clock import ManualClock
from tests.unit.domain.execution.test_observation import (
    BTC,
    ENTRY,
    LIMIT,
    planned,
    said,
    state_with,
)

pytestmark = pytest.mark.anyio


class Rig:
    def __init__(self, *venues: Venue, state: ExecutionState | None = None) -> None:
        self.exchange = FakeExchangeAccount(ManualClock())
        self.set(symbols=(self.row(5),))
        self.events: list[tuple[str, EventDetail]] = []
        self.check = CheckAccount(
            self.exchange,
            (state or ExecutionState()).agreement,
            venues=venues or tuple(Venue),
            symbols=lambda: (BTC,),
            record=lambda kind, detail: self.events.append((kind, detail)),
        )

    def set(self, **changes: object) -> None:
        self.exchange.account = replace(self.exchange.account, **changes)

    @staticmethod
    def row(leverage: int) -> SymbolConfiguration:
        return SymbolConfiguration(symbol=BTC, margin_type="CROSSED", leverage=leverage)


async def test_an_account_that_may_trade_is_green() -> None:
    rig = Rig()
    assert rig.check.report().level is Level.YELLOW
    await rig.check.check()
    report = rig.check.report()
    assert report.level is Level.GREEN
    assert report.sentence == "one-way mode, single-asset mode; 1 contract: CROSSED x5"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"spot_trading": False}, "the key may not trade on spot: enable Spot & Margin Trading"),
        ({"futures_trading": False}, "the key may not trade futures: enable Futures"),
        ({"can_trade_spot": False}, "the exchange has stopped trading of the spot account"),
        ({"can_trade_futures": False}, "the exchange has stopped trading of the futures account"),
    ],
)
async def test_what_stops_orders_is_said(changes: dict[str, object], sentence: str) -> None:
    rig = Rig()
    rig.set(**changes)
    await rig.check.check()
    assert rig.check.report().level is Level.ORANGE
    assert sentence in rig.check.report().sentence


async def test_a_venue_that_is_not_served_is_not_judged() -> None:
    rig = Rig(Venue.PERP)
    rig.set(spot_trading=False, can_trade_spot=None)
    await rig.check.check()
    assert rig.check.report().level is Level.GREEN


async def test_what_could_not_be_read_is_said() -> None:
    rig = Rig()
    rig.set(hedge_mode=None, can_trade_futures=None)
    await rig.check.check()
    report = rig.check.report()
    assert report.level is Level.YELLOW
    assert "not known: whether the futures account may trade, the position mode" in report.sentence


async def test_a_key_that_may_read_nothing_is_said() -> None:
    rig = Rig()
    names = set(AccountConfiguration.__struct_fields__) - {"symbols"}
    rig.set(symbols=(), **dict.fromkeys(names))
    await rig.check.check()
    report = rig.check.report()
    assert report.level is Level.ORANGE
    assert report.sentence.startswith("the exchange refuses every read of the account: check the")


async def test_permissions_that_the_exchange_does_not_say_are_no_problem() -> None:
    rig = Rig()
    rig.set(spot_trading=None, futures_trading=None)  # the testnets
    await rig.check.check()
    assert rig.check.report().level is Level.GREEN


async def test_a_key_that_is_refused_is_said_and_a_failed_read_keeps_what_was_known() -> None:
    rig = Rig()
    await rig.check.check()
    rig.exchange.unavailable = {"configuration"}
    with pytest.raises(ExchangeUnavailableError):
        await rig.check.check()
    assert rig.check.report().level is Level.YELLOW
    assert "one-way mode" in rig.check.report().sentence
    rig.exchange.unavailable, rig.exchange.refused = set(), {"configuration"}
    await rig.check.check()
    assert rig.check.report().level is Level.ORANGE
    assert "does not accept the key: configuration: -2015" in rig.check.report().sentence
    rig.exchange.refused = set()
    await rig.check.check()
    assert rig.check.report().level is Level.GREEN


async def test_each_change_is_an_event() -> None:
    rig = Rig()
    await rig.check.check()
    rig.set(hedge_mode=True, multi_assets=None, symbols=(rig.row(20),))
    version = rig.check.changed.version
    rig.check.account_changed("leverage of BTCUSDT")
    assert rig.check.changed.version > version
    await rig.check.check()
    await rig.check.check()
    assert rig.events == [
        (
            "execution.account_changed",
            {"what": "hedge_mode", "before": "False", "after": "True"},
        ),
        (
            "execution.account_changed",
            {"what": "leverage BTCUSDT", "before": "5", "after": "20"},
        ),
    ]


async def test_the_missing_agreement_is_said_until_an_order_of_the_contract_is_accepted() -> None:
    state = state_with(LIMIT)
    rig = Rig(state=state)
    await rig.check.check()
    message = "Please sign TradFi-Perps agreement contract fapi."
    state.apply(
        OrderRefused(client_id=ENTRY, reason=RefusalReason.AGREEMENT, code=-4411, message=message)
    )
    report = rig.check.report()
    assert report.level is Level.YELLOW
    assert f"the TradFi agreement is not signed (BTCUSDT: {message})" in report.sentence
    accepted = replace(LIMIT, client_id="s1-next-e")
    state.apply(planned(accepted))
    (acknowledged,) = observe(state, replace(said("NEW", 0, 1), client_id="s1-next-e"), {})
    state.apply(acknowledged)
    assert rig.check.report().level is Level.GREEN
