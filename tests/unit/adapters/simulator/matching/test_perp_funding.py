"""Funding follows the positions of the desk, and moves its wallet."""

from decimal import Decimal

from chimera_s1.adapters.simulator.funding.positions import Positions, Side
from chimera_s1.adapters.simulator.matching.events import AccountEvent
from tests.fakes.perp_bench import HOUR_MS, QTY, START_MS, PerpBench

DAY_MS = 24 * HOUR_MS


def wait(bench: PerpBench, hours: int) -> None:
    bench.now_ms += hours * HOUR_MS
    bench.desk.advance()


def test_the_wallet_pays_each_fee_once() -> None:
    bench = PerpBench()
    bench.place("BUY")
    before = bench.wallet

    wait(bench, 24)
    wait(bench, 1)

    fees = list(bench.funding.fees(START_MS, bench.now_ms, None, 0))
    events = [event for event in bench.seen(AccountEvent) if event.reason == "FUNDING_FEE"]
    assert len(fees) == 3
    assert [event.change for event in events] == [fee.amount for fee in fees]
    assert bench.wallet == before + sum(fee.amount for fee in fees)
    assert not any(event.positions for event in events)


def test_a_closed_position_pays_nothing() -> None:
    bench = PerpBench()
    bench.place("BUY")
    bench.now_ms += 1
    bench.place("SELL")
    before = bench.wallet

    wait(bench, 24)

    assert bench.wallet == before


def test_both_sides_of_hedge_mode_pay_and_receive() -> None:
    bench = PerpBench()
    bench.desk.change_hedge_mode(hedge_mode=True)
    bench.place("BUY", position_side="LONG")
    bench.place("SELL", position_side="SHORT")

    wait(bench, 8)

    paid, received = bench.funding.fees(START_MS, bench.now_ms, None, 0)
    assert paid.amount == -received.amount != 0


def test_a_position_that_funding_has_is_one_of_the_desk() -> None:
    funded = Positions()
    market = PerpBench().market
    funded.open(market, 0, {Side.BOTH: Decimal("0.5")}, "BNB")

    bench = PerpBench(funded=funded)
    bench.place("SELL", reduce_only=True)

    assert bench.held() == Decimal("0.5") - QTY
    (held,) = funded.held_at(bench.now_ms + 1)
    assert (held.amounts, held.asset) == ({Side.BOTH: Decimal("0.49")}, "BNB")


def test_positions_keep_one_entry_an_hour_and_three_months() -> None:
    """A settlement sees the last position before its full hour, however many there were."""
    market, positions = PerpBench().market, Positions()
    hour_ms = START_MS // HOUR_MS * HOUR_MS

    for minute in range(180):
        held = {Side.BOTH: Decimal(minute + 1)}
        positions.open(market, hour_ms + minute * HOUR_MS // 60, held, "USDT")
    assert len(list(positions.ever_held())) == 3
    settled = [next(positions.held_at(hour_ms + n * HOUR_MS)) for n in (1, 2, 3)]
    assert [each.amounts[Side.BOTH] for each in settled] == [60, 120, 180]

    for day in range(1, 200):
        positions.open(market, hour_ms + day * DAY_MS, {Side.BOTH: Decimal(day)}, "USDT")
    assert len(list(positions.ever_held())) == 95
    first_ms = hour_ms + (199 - 93) * DAY_MS
    assert next(positions.held_at(first_ms)).amounts[Side.BOTH] == 199 - 94
