"""Estimates from the stream to their streams, on virtual time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio
import pytest

from chimera_s1.app.capabilities.funding.latest_estimates import LatestEstimates
from chimera_s1.app.capabilities.funding.publish_estimates import (
    RETRY_MS,
    UNKNOWN_MS,
    PublishEstimates,
    estimate_event,
)
from chimera_s1.app.capabilities.operations.publication_gate import PublicationGate
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.funding.estimates import Settled
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs, window_start
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.schedule import HOUR_MS
from tests.fakes.funding_events import FakeFundingEvents
from tests.fakes.instrument_reader import MemoryInstrumentReader
from tests.fakes.manual_clock import settle
from tests.fakes.mark_prices import FakeMarkPrices
from tests.fakes.publication import FakePublication
from tests.virtual_time import EPOCH_MS, LoopClock, on_virtual_time

BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
T = EPOCH_MS // HOUR_MS * HOUR_MS + HOUR_MS


def listing(symbol: str) -> Listing:
    return Listing(InstrumentId(Venue.PERP, Symbol(symbol)), trading=True, quote_asset="USDT")


class Switch:
    def __init__(self) -> None:
        self.changes = ChangeSignal()
        self.withholds_quotes = False

    def set(self, *, on: bool) -> None:
        self.withholds_quotes = on
        self.changes.notify()


class Rig:
    """Publishes BTCUSDT and ETHUSDT; the registry lists SOLUSDT, too."""

    def __init__(self, window: int = 1000, slow_ms: int | None = None) -> None:
        self.clock = LoopClock()
        self.source = FakeMarkPrices()
        self.events = FakeFundingEvents()
        self.latest = LatestEstimates()
        self.publication = FakePublication(BTC, ETH)
        self.switch = Switch()
        self.instruments = MemoryInstrumentReader(*map(listing, (BTC, ETH, "SOLUSDT")))
        self.settled: list[Settled] = []
        self.sent_ms: list[int] = []
        self.window = WindowMs(window)
        self.publish = PublishEstimates(
            self.source,
            self.events,
            self.latest,
            instruments=self.instruments,
            publication=self.publication,
            gate=PublicationGate(self.switch, self.clock, slow_ms),
            clock=self.clock,
            window=self.window,
            on_settled=lambda *each: self.settled.append(Settled(*each)),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.publish.run)
            await settle()
            yield
            tasks.cancel_scope.cancel()

    def send(self, rate: str = "0.0001", symbol: Symbol = BTC, funding_time: int = T) -> None:
        """The exchange's clock is the local one."""
        now_ms = self.clock.now_ms()
        self.sent_ms.append(now_ms)
        self.source.send(FundingEstimate(symbol, rate, funding_time, now_ms))

    async def seconds(self, count: int, rates: Sequence[str] = ("0.0001",)) -> None:
        """One message a second, in the middle of it."""
        for number in range(count):
            await self.clock.sleep_ms(500)
            self.send(rates[number % len(rates)])
            await self.clock.sleep_ms(500)
            await settle()

    def rates(self, symbol: Symbol = BTC) -> list[str]:
        return [each.rate_est for each in self.events.events if each.symbol == symbol]


@on_virtual_time
async def test_a_change_is_published_once_at_the_end_of_its_window() -> None:
    """With the exchange's event time, and the settlement it is an estimate of."""
    rig = Rig()
    async with rig.running():
        await rig.seconds(4, ["0.00010000", "0.00010000", "0.0002", "0.0002"])

    assert rig.rates() == ["0.0001", "0.0002"]
    first = rig.events.events[0]
    assert (first.ts, first.funding_time, first.rate_type) == (rig.sent_ms[0], T, "Regular")
    assert first.event_id == f"BTCUSDT-{T}-est-{rig.sent_ms[0]}"
    assert (first.rate_real, first.amount_usdt) == ("", "")


@on_virtual_time
async def test_the_newest_of_a_window_is_published() -> None:
    rig = Rig()
    async with rig.running():
        for rate in ("0.1", "0.2", "0.3"):
            await rig.clock.sleep_ms(100)
            rig.send(rate)
        await rig.clock.sleep_ms(700)
        await settle()

    assert rig.rates() == ["0.3"]


@on_virtual_time
async def test_with_window_0_every_change_is_published_at_once() -> None:
    rig = Rig(window=0)
    async with rig.running():
        for rate in ("0.1", "0.2", "0.2", "0.3"):
            await rig.clock.sleep_ms(1)
            rig.send(rate)
            await settle()

        assert rig.rates() == ["0.1", "0.2", "0.3"]


@on_virtual_time
async def test_no_two_entries_of_a_window_even_if_the_loop_is_late() -> None:
    """The message of the next window comes before the timer of this one."""
    rig = Rig()
    async with rig.running():
        rig.send("0.1")
        rig.clock.skew_ms = 1_000.0
        rig.send("0.2")
        await settle()
        assert rig.rates() == ["0.1"], "its window has ended"
        rig.send("0.2")
        await settle()
        assert rig.rates() == ["0.1"]
        await rig.clock.sleep_ms(1_000)
        await settle()

    times = [window_start(each.ts, rig.window) for each in rig.events.events]
    assert rig.rates() == ["0.1", "0.2"]
    assert len({*times}) == 2


@on_virtual_time
async def test_a_local_clock_that_is_set_back_holds_nothing_back() -> None:
    rig = Rig()
    async with rig.running():
        await rig.seconds(1, ["0.1"])
        rig.clock.skew_ms = -3_600_000.0
        await rig.seconds(2, ["0.2"])

    assert rig.rates() == ["0.1", "0.2"]


@on_virtual_time
async def test_an_unchanged_estimate_is_published_at_least_every_minute() -> None:
    rig = Rig()
    async with rig.running():
        await rig.seconds(600)

    times = [each.ts for each in rig.events.events]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) in range(10, 13)
    assert max(gaps) <= 60_000
    assert len({each.event_id for each in rig.events.events}) == len(times)


@on_virtual_time
async def test_what_is_not_served_or_not_listed_is_counted_and_kept_in_memory() -> None:
    """The case of ccxt#27007: mark price rows of symbols that no listing has."""
    rig = Rig()
    async with rig.running():
        for symbol in (BTC, Symbol("SOLUSDT"), Symbol("MATICUSDT")):
            rig.send(symbol=symbol)
        await rig.clock.sleep_ms(1_000)
        await settle()
        before = rig.publish.report()
        rig.instruments.put(listing("MATICUSDT"))
        rig.send(symbol=Symbol("MATICUSDT"))
        await rig.clock.sleep_ms(1_000)
        await settle()

    assert {each.symbol for each in rig.events.events} == {BTC}
    assert (rig.publish.counts.unserved, rig.publish.counts.unknown) == (2, 1)
    assert before.unknown == ("MATICUSDT",)
    assert (before.level, "MATICUSDT" in before.sentence) == (Level.GREEN, True)
    assert rig.publish.report().unknown == ()
    assert rig.latest.last_estimate(Symbol("MATICUSDT"), T + 18) == "0.0001"


@on_virtual_time
async def test_a_contract_that_the_stream_names_no_more_is_not_unknown_for_ever() -> None:
    rig = Rig()
    async with rig.running():
        rig.send(symbol=Symbol("MATICUSDT"))
        await rig.seconds(1)
        before = rig.publish.report().unknown
        await rig.seconds(UNKNOWN_MS // 1_000 + 1)

        assert (before, rig.publish.report().unknown) == (("MATICUSDT",), ())


@on_virtual_time
async def test_a_settlement_is_told_to_the_listener_of_every_contract() -> None:
    """Served or not, and on a standby: the exchange's time decides, not the local clock's."""
    rig = Rig()
    rig.publication.term = 0
    async with rig.running():
        for symbol in (BTC, Symbol("SOLUSDT")):
            rig.source.send(FundingEstimate(symbol, "0.1", T, T - 1_000))
            rig.source.send(FundingEstimate(symbol, "0.2", T + 8 * HOUR_MS, T))

    assert rig.settled == [Settled(BTC, T), Settled(Symbol("SOLUSDT"), T)]
    assert rig.latest.last_estimate(BTC, T) == "0.1"
    assert rig.latest.exchange_ms == T


@on_virtual_time
async def test_a_standby_publishes_nothing_and_everything_when_it_takes_over() -> None:
    """With the next window: what the other instance has published is not known."""
    rig = Rig()
    rig.publication.term = 0
    async with rig.running():
        await rig.seconds(3)
        silent, standby = rig.rates(), rig.publish.report()
        rig.publication.term = 1
        await rig.seconds(2)
        taken_over = rig.rates()
        rig.publication.term = 2
        await rig.seconds(2)

    assert silent == []
    assert "standby" in standby.sentence
    assert taken_over == ["0.0001"]
    assert rig.rates() == ["0.0001", "0.0001"], "another instance may have published in a pause"


@on_virtual_time
async def test_nothing_of_an_earlier_term_is_written() -> None:
    rig = Rig()
    async with rig.running():
        rig.events.refusal = PublisherUnavailableError("down")
        await rig.seconds(1, ["0.1"])
        rig.publication.term = 0
        rig.events.refusal = None
        await rig.seconds(2, ["0.2"])
        rig.publication.term = 2
        await rig.clock.sleep_ms(3 * RETRY_MS)
        assert rig.rates() == []
        await rig.seconds(1, ["0.3"])

    assert rig.rates() == ["0.3"]


@on_virtual_time
async def test_while_redis_is_away_the_newest_of_each_contract_waits() -> None:
    rig = Rig()
    async with rig.running():
        rig.events.refusal = PublisherUnavailableError("127.0.0.1:7000: down")
        rig.send("0.9", ETH)
        await rig.seconds(5, ["0.1", "0.2", "0.3", "0.4", "0.5"])
        away = rig.publish.report()
        rig.events.refusal = None
        await rig.clock.sleep_ms(RETRY_MS)
        await settle()

    assert rig.events.failed >= 3
    assert (away.level, away.waiting) == (Level.ORANGE, 2)
    assert "127.0.0.1:7000: down" in away.sentence
    assert (rig.rates(), rig.rates(ETH)) == (["0.5"], ["0.9"])
    assert rig.publish.counts.merged == 4
    assert rig.publish.counts.published == 2
    assert (rig.publish.report().level, rig.publish.report().cause) == (Level.GREEN, "")


async def fail_first_write(rig: Rig) -> None:
    """The write that Redis holds ends with an error, and later ones succeed."""
    assert rig.events.held is not None
    rig.events.held.set()
    await settle()
    assert rig.events.failed == 1
    rig.events.refusal = None
    await rig.clock.sleep_ms(2 * RETRY_MS)
    await settle()


def holding() -> Rig:
    rig = Rig()
    rig.events.held = anyio.Event()
    rig.events.refusal = PublisherUnavailableError("no reply")
    return rig


@on_virtual_time
async def test_what_fails_is_not_written_after_something_newer() -> None:
    rig = holding()
    async with rig.running():
        await rig.seconds(2, ["0.1", "0.2"])
        await fail_first_write(rig)

    assert rig.rates() == ["0.2"]


@on_virtual_time
async def test_what_fails_in_one_term_is_not_written_in_a_later_one() -> None:
    """Another instance may have written something newer in between."""
    rig = holding()
    async with rig.running():
        await rig.seconds(1, ["0.1"])
        rig.publication.term = 3
        rig.send("0.9", ETH)
        await rig.clock.sleep_ms(1_000)
        await settle()
        await fail_first_write(rig)

    assert (rig.rates(), rig.rates(ETH)) == ([], ["0.9"])


@on_virtual_time
async def test_a_stream_that_refuses_its_entry_delays_no_other() -> None:
    rig = Rig()
    rig.events.refused.add(ETH)
    async with rig.running():
        for number in range(3):
            rig.send("0.9", ETH)
            await rig.seconds(1, [f"0.{number + 1}"])
        rig.events.refused.clear()
        await rig.clock.sleep_ms(RETRY_MS)
        await settle()

    assert rig.rates()[-1] == "0.3"
    assert rig.rates(ETH) == ["0.9"]


@on_virtual_time
async def test_the_kill_switch_holds_estimates_back_and_then_the_newest_is_written() -> None:
    rig = Rig()
    async with rig.running():
        rig.switch.set(on=True)
        await rig.seconds(3, ["0.1", "0.2", "0.3"])
        held = rig.publish.report()
        assert rig.rates() == []
        rig.switch.set(on=False)
        await settle()

    assert (held.withheld, held.waiting, held.level) == (True, 1, Level.GREEN)
    assert "kill switch" in held.sentence
    assert rig.rates() == ["0.3"]


@on_virtual_time
async def test_a_kill_switch_that_slows_lets_the_newest_through_at_its_interval() -> None:
    rig = Rig(slow_ms=10_000)
    async with rig.running():
        rig.switch.set(on=True)
        await rig.seconds(25, [f"0.{number}" for number in range(101, 126)])

    assert rig.rates() == ["0.11", "0.12"], "the newest after 10 s and 20 s: 0.110 and 0.120"


@on_virtual_time
async def test_what_waits_at_shutdown_is_written() -> None:
    """The estimates of a window that has not ended, and those of a write that was cancelled."""
    rig = Rig()
    rig.events.held = anyio.Event()
    async with rig.running():
        await rig.seconds(1, ["0.1"])
        assert rig.publish.waiting == 0, "being written"
        rig.send("0.9", ETH)
    rig.events.held.set()
    await rig.publish.flush()

    assert (rig.rates(), rig.rates(ETH), rig.publish.waiting) == (["0.1"], ["0.9"], 0)


@pytest.mark.parametrize(("slow_ms", "flushed"), [(None, []), (10_000, ["0.1"])])
@on_virtual_time
async def test_at_shutdown_the_kill_switch_stops_estimates_and_slows_none(
    slow_ms: int | None, flushed: list[str]
) -> None:
    rig = Rig(slow_ms=slow_ms)
    async with rig.running():
        rig.switch.set(on=True)
        await rig.seconds(1, ["0.1"])
    await rig.publish.flush()

    assert (rig.rates(), rig.publish.waiting) == (flushed, 1 - len(flushed))


@on_virtual_time
async def test_a_standby_flushes_nothing() -> None:
    rig = Rig()
    rig.publication.term = 0
    async with rig.running():
        rig.send()
    await rig.publish.flush()

    assert (rig.rates(), rig.publish.waiting) == ([], 0)


@on_virtual_time
async def test_a_contract_that_is_not_served_any_more_is_not_written() -> None:
    """The kill switch may have held its estimate for hours; served again, it is due at once."""
    rig = Rig()
    async with rig.running():
        rig.switch.set(on=True)
        await rig.seconds(1)
        rig.publication.symbols.discard(BTC)
        rig.switch.set(on=False)
        await settle()
        assert rig.rates() == []
        rig.publication.symbols.add(BTC)
        await rig.seconds(1)

    assert rig.rates() == ["0.0001"]


@on_virtual_time
async def test_stale_rows_change_nothing() -> None:
    """A renewal: the old socket delivers a row after the new one has delivered a newer one."""
    rig = Rig(window=0)
    async with rig.running():
        rig.source.send(FundingEstimate(BTC, "0.2", T, EPOCH_MS + 1_000))
        rig.source.send(FundingEstimate(BTC, "0.1", T, EPOCH_MS))
        await settle()

    assert rig.rates() == ["0.2"]
    assert (rig.latest.stale, rig.latest.exchange_ms) == (1, EPOCH_MS + 1_000)


@on_virtual_time
async def test_one_row_with_a_bad_time_does_not_move_the_exchanges_time() -> None:
    """History up to that time would count as proven."""
    rig = Rig(window=0)
    async with rig.running():
        rig.source.send(
            FundingEstimate(BTC, "0.2", T, EPOCH_MS),
            FundingEstimate(ETH, "0.2", T, 9_999_999_999_999),
            FundingEstimate(Symbol("SOLUSDT"), "0.2", T, EPOCH_MS),
        )
        assert rig.latest.exchange_ms == EPOCH_MS
        await settle()
        rig.source.send(FundingEstimate(ETH, "0.3", T, EPOCH_MS + 1_000))
        await settle()

    assert rig.rates(ETH) == ["0.2", "0.3"], "its next row is no late one"


@pytest.mark.parametrize(
    ("connected", "age_ms", "words"),
    [
        (False, None, "no message of the mark price stream yet"),
        (False, 4_000.0, "not connected, last message 4 s ago"),
        (True, 11_000.0, "silent, last message 11 s ago"),
    ],
)
@on_virtual_time
async def test_a_silent_stream_is_orange(connected: bool, age_ms: float | None, words: str) -> None:
    rig = Rig()
    rig.source.connected, rig.source.age_ms = connected, age_ms
    report = rig.publish.report()

    assert report.level is Level.ORANGE
    assert report.grace_ms > 0
    assert words in report.sentence


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        ("0.00010000", "0.0001"),
        ("-0.00000000", "0"),
        ("0.00000001", "0.00000001"),
        ("-0.00375000", "-0.00375"),
        ("1", "1"),
    ],
)
def test_a_rate_is_written_in_its_shortest_exact_form(rate: str, text: str) -> None:
    assert estimate_event(FundingEstimate(BTC, rate, T, EPOCH_MS)).rate_est == text
