"""The Binance feed against the simulator over real sockets: quotes, drops and reconnects."""

import httpx2
import pytest
from anyio.abc import TaskGroup
from msgspec import structs

from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.market_feed import FeedPlan
from chimera_s1.adapters.simulator.config import SimulatorAddresses, SimulatorConfig
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Channel, Venue
from chimera_s1.domain.market.instrument_selection import (
    SINGLE_SHARD,
    parse_symbol_filter,
    select_instruments,
)
from chimera_s1.domain.market.quote import book_defect
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    FatalEnded,
    RoundTrip,
)
from tests.contract.feed_harness import (
    CLOCK,
    QUICK_RECONNECT,
    SYMBOLS,
    feed_harness,
    simulator_endpoints,
    stoppable_simulator,
)
from tests.time_limits import TIMEOUT_S


@pytest.fixture
async def simulator(tasks: TaskGroup) -> SimulatorAddresses:
    """A simulator that sends 2,000 updates a second."""
    config = SimulatorConfig(symbols=SYMBOLS, rate=2_000.0)
    addresses: SimulatorAddresses = await tasks.start(Simulator(config, CLOCK).run)
    return addresses


@pytest.mark.parametrize("venue", Venue)
@pytest.mark.parametrize("channel", Channel)
async def test_quotes_of_every_instrument_arrive(
    tasks: TaskGroup, simulator: SimulatorAddresses, venue: Venue, channel: Channel
) -> None:
    """Each channel of each venue gives sound quotes, in order, under its own source name."""

    def only(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, channels=(channel,))

    async with feed_harness(tasks, simulator, venue, plan=only) as feed:
        opened = await feed.next_event(ConnectionOpened)
        quotes = await feed.drain_until(
            lambda seen: len(seen) > 100 and len({q.instrument for q in seen}) == len(SYMBOLS)
        )
        report = feed.feed.report()

    assert f"{venue.value}-0" == opened.connection
    assert {f"binance.{venue.value}.{channel.value}"} == {quote.source for quote in quotes}
    assert all(book_defect(q.bid, q.bid_qty, q.ask, q.ask_qty) is None for q in quotes)
    for name in SYMBOLS:
        ids = [quote.update_id for quote in quotes if quote.instrument.symbol == name]
        assert sorted(set(ids)) == ids
    assert (
        report.instruments,
        report.connections,
        report.delivering,
        report.fatal,
    ) == (3, 1, 1, False)


@pytest.mark.parametrize("venue", Venue)
async def test_a_quote_is_what_the_exchange_sent(
    tasks: TaskGroup, simulator: SimulatorAddresses, venue: Venue
) -> None:
    """Prices and quantities of a quote are those of the frame with its update id."""
    async with feed_harness(tasks, simulator, venue, symbols=["BTCUSDT"]) as feed:
        quotes = await feed.drain_until(lambda seen: len(seen) >= 50)
        reply = (await feed.control.get(f"/sim/quotes/{venue.value}/BTCUSDT")).json()
        sent = {
            frame["data"]["u"]: frame["data"]
            for frame in reply["frames"]
            if frame["stream"] == "btcusdt@bookTicker"
        }
        # The simulator remembers the newest frames only: on a slow machine they are yet to come.
        quotes += await feed.drain_until(
            lambda seen: any(quote.update_id in sent for quote in [*quotes, *seen])
        )
    both = [quote for quote in quotes if quote.update_id in sent]

    assert both
    for quote in both:
        frame = sent[quote.update_id]
        numbers = tuple(float(frame[key]) for key in "bBaA")
        assert numbers == (quote.bid, quote.bid_qty, quote.ask, quote.ask_qty)


async def test_streams_are_spread_over_connections(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """With one stream a connection, three instruments are three connections, all delivering."""

    def one_each(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, streams_per_connection=1)

    async with feed_harness(tasks, simulator, plan=one_each) as feed:
        names = {(await feed.next_event(ConnectionOpened)).connection for _ in SYMBOLS}

    assert {"perp-0", "perp-1", "perp-2"} == names


async def test_pings_are_answered_and_measured(
    tasks: TaskGroup, simulator: SimulatorAddresses
) -> None:
    """Each answered ping is a round trip."""
    async with feed_harness(tasks, simulator) as feed:
        assert (await feed.next_event(RoundTrip)).rtt_ms > 0


@pytest.mark.parametrize("cut", ["disconnect", "close:1001"])
async def test_a_cut_connection_comes_back(
    tasks: TaskGroup, simulator: SimulatorAddresses, cut: str
) -> None:
    """A lost socket is dialled again and counted, and its cause is reported."""
    async with feed_harness(tasks, simulator) as feed:
        await feed.next_event(ConnectionOpened)
        await feed.inject_fault({"on": "ws:perp", "do": cut})
        lost = await feed.next_event(ConnectionLost)
        await feed.next_event(ConnectionOpened)
        fired = await feed.fired_counts()

    assert fired == [1]
    assert ("1001" in lost.cause) == (cut == "close:1001")
    assert feed.feed.counters.reconnects == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("malformed", "malformed"), ("crossed", "crossed"), ("duplicate", "stale_update_id")],
)
async def test_a_faulty_frame_is_dropped_and_counted(
    tasks: TaskGroup, simulator: SimulatorAddresses, fault: str, reason: str
) -> None:
    """Faulty frames never become quotes, and never end the connection."""
    async with feed_harness(tasks, simulator) as feed:
        await feed.drain_until(lambda seen: len(seen) >= 10)
        await feed.inject_fault({"on": "ws:perp", "do": fault, "times": 5})
        quotes = await feed.drain_until(lambda _: sum(feed.feed.counters.dropped.values()) >= 5)
        fired = await feed.fired_counts()

    assert fired == [5]
    assert all(book_defect(q.bid, q.bid_qty, q.ask, q.ask_qty) is None for q in quotes)
    if reason == "malformed":
        # A frame whose very name is damaged is no data message at all.
        assert {"malformed", "unintelligible", "not_text"} >= feed.feed.counters.dropped.keys()
    else:
        assert {reason: 5} == feed.feed.counters.dropped
    assert feed.feed.counters.reconnects == 0


async def test_a_wrong_path_ends_the_socket_after_the_first_message_timeout(
    tasks: TaskGroup, simulator: SimulatorAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Binance acknowledges book streams on the market path and never delivers: that is a loss."""
    monkeypatch.setattr(
        "chimera_s1.adapters.binance.streams.market_socket.FIRST_MESSAGE_TIMEOUT_S", 0.3
    )

    def wrong(usual: FeedPlan) -> FeedPlan:
        return structs.replace(usual, ws_url=f"{simulator.perp_ws_url}/market/stream?x=")

    async with feed_harness(tasks, simulator, plan=wrong) as feed:
        lost = await feed.next_event(ConnectionLost)

    assert lost.cause == "no data within 0.3 s of subscribing"


async def test_an_unreachable_venue_is_fatal_until_it_reconnects(tasks: TaskGroup) -> None:
    """More than N_max failures are FATAL; dialling continues; a healthy socket ends it."""
    addresses, running = await tasks.start(stoppable_simulator, SimulatorConfig(symbols=SYMBOLS))
    async with feed_harness(tasks, addresses) as feed:
        await feed.next_event(ConnectionOpened)
        running.cancel()
        fatal = await feed.next_event(ConnectionFatal)
        assert feed.feed.report().fatal

        port = int(addresses.perp_ws_url.rpartition(":")[2])
        again = SimulatorConfig(symbols=SYMBOLS, perp_ws_port=port)
        await tasks.start(stoppable_simulator, again)
        await feed.next_event(ConnectionOpened)
        await feed.next_event(FatalEnded)

    assert QUICK_RECONNECT.retries_max + 1 == fatal.retry_count
    assert not feed.feed.report().fatal


async def test_listings_and_selection_of_both_venues(simulator: SimulatorAddresses) -> None:
    """`*` selects what trades in USDT; unknown names are reported."""
    async with BinanceExchangeInformation(simulator_endpoints(simulator), CLOCK) as exchange:
        for venue in Venue:
            listings = await exchange.listings(venue)
            every = select_instruments(
                parse_symbol_filter("*", [venue]), listings, venue, SINGLE_SHARD
            )
            some = select_instruments(
                parse_symbol_filter("BTCUSDT,NOSUCHUSDT", [venue]), listings, venue, SINGLE_SHARD
            )

            assert set(SYMBOLS) <= {str(i.symbol) for i in every.instruments}
            assert any(not row.trading for row in listings)
            assert [i.symbol for i in some.instruments] == ["BTCUSDT"]
            assert [i.symbol for i in some.unlisted] == ["NOSUCHUSDT"]


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("status:429", ExchangeUnavailableError),
        ("status:503", ExchangeUnavailableError),
        ("status:403", ExchangeRefusedError),
        ("code:-1121", ExchangeRefusedError),
        ("body:html", ExchangeUnavailableError),
        ("body:empty", ExchangeUnavailableError),
        ("body:truncated", ExchangeUnavailableError),
        ("drop-before", ExchangeUnavailableError),
    ],
)
async def test_every_rest_failure_becomes_a_domain_error(
    simulator: SimulatorAddresses, action: str, error: type[Exception]
) -> None:
    """Foreign exceptions stop at the adapter."""
    async with (
        httpx2.AsyncClient(base_url=simulator.control_url, timeout=TIMEOUT_S) as control,
        BinanceExchangeInformation(simulator_endpoints(simulator), CLOCK) as exchange,
    ):
        fault = {"on": "GET /fapi/v1/time", "do": action, "times": 1}
        (await control.post("/sim/faults", json=fault)).raise_for_status()
        with pytest.raises(error):
            await exchange.server_time_ms(Venue.PERP)
        faults = (await control.get("/sim/faults")).json()["faults"]

    assert [each["fired"] for each in faults] == [1]


async def test_no_requests_are_sent_while_rate_limited(simulator: SimulatorAddresses) -> None:
    """After a 429 no caller sends a request until Retry-After is over."""
    async with (
        httpx2.AsyncClient(base_url=simulator.control_url, timeout=TIMEOUT_S) as control,
        BinanceExchangeInformation(simulator_endpoints(simulator), CLOCK) as exchange,
    ):
        fault = {"on": "GET /fapi/v1/time", "do": "status:429", "times": 2}
        await control.post("/sim/faults", json=fault)
        for _ in range(3):
            with pytest.raises(ExchangeUnavailableError):
                await exchange.server_time_ms(Venue.PERP)
        faults = (await control.get("/sim/faults")).json()["faults"]

    assert [each["fired"] for each in faults] == [1]
