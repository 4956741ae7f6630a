"""Probes: what follows from every answer that the venue can give."""

from collections.abc import Sequence

import anyio
import pytest
from anyio.lowlevel import checkpoint
from msgspec import structs

from chimera_s1.app.capabilities.market import probe_books
from chimera_s1.app.capabilities.market.probe_books import (
    LISTING_AGE_MAX_MS,
    LONG_SILENCE_MS,
    STREAM_CATCH_UP_MS,
    ProbeBooks,
    ProbeResult,
)
from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.market.probe_verdict import ProbeVerdict
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.exchange_information import TopOfBook
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.fakes.manual_clock import ManualClock, settle
from tests.sample_quotes import quote
from tests.time_limits import TIMEOUT_S

NEWEST = quote()
SAME = TopOfBook(NEWEST.bid, NEWEST.bid_qty, NEWEST.ask, NEWEST.ask_qty, NEWEST.update_id)
NEWER = structs.replace(SAME, update_id=SAME.update_id + 1)
MOVED = structs.replace(NEWER, bid=SAME.bid / 2)
OLDER = structs.replace(MOVED, update_id=SAME.update_id - 1)
OLD_SAME = structs.replace(SAME, update_id=SAME.update_id - 1)
ODD = structs.replace(MOVED, update_id=SAME.update_id)
NO_BID = structs.replace(NEWER, bid=0.0, bid_qty=0.0)
NO_BOOK = structs.replace(NO_BID, ask=0.0, ask_qty=0.0)
CROSSED = structs.replace(NEWER, bid=2 * SAME.ask)
NAN = structs.replace(NEWER, ask=float("nan"))
REFUSED = ExchangeRefusedError("GET /fapi/v1/depth: replied 400 -1121 Invalid symbol.")
FIREWALL = ExchangeRefusedError("GET /fapi/v1/depth: replied 403")
RATE_LIMITED = ExchangeUnavailableError("GET /fapi/v1/depth: rate limited for another 60 s")
AWAY = ExchangeUnavailableError("GET /fapi/v1/depth: no reply")

Answer = TopOfBook | ChimeraError
OTHER = InstrumentId(NEWEST.instrument.venue, Symbol("OTHERUSDT"))
LISTED = (Listing(NEWEST.instrument, "USDT", True), Listing(OTHER, "USDT", True))  # noqa: FBT003
HALTED = (Listing(NEWEST.instrument, "USDT", False), LISTED[1])  # noqa: FBT003
DELISTED = (LISTED[1],)
CLOSED = (HALTED[0], Listing(OTHER, "USDT", False))  # noqa: FBT003


class Venues(MemoryExchangeInformation):
    """A venue that gives the answers of a test in order, the last one for ever."""

    def __init__(self, clock: ManualClock, answers: Sequence[Answer]) -> None:
        super().__init__(clock)
        self.answers = list(answers)
        self.rows: tuple[Listing, ...] | ChimeraError = LISTED
        self.book_requests = 0
        self.listing_requests = 0

    async def top_of_book(self, instrument: InstrumentId) -> TopOfBook:
        assert instrument == NEWEST.instrument
        self.book_requests += 1
        await checkpoint()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ChimeraError):
            raise answer
        return answer

    async def listings(self, venue: Venue) -> tuple[Listing, ...]:
        assert venue is NEWEST.instrument.venue
        self.listing_requests += 1
        if isinstance(self.rows, ChimeraError):
            raise self.rows
        return self.rows


class Probe:
    def __init__(self, *answers: Answer) -> None:
        self.clock = ManualClock()
        self.venue = Venues(self.clock, answers)
        self.probes = ProbeBooks(self.venue, self.clock)

    async def run(self, newest: Quote | None = NEWEST, silence_ms: float = 10_000) -> ProbeResult:
        results: list[ProbeResult] = []

        async def ask() -> None:
            results.append(await self.probes.probe(NEWEST.instrument, newest, silence_ms))

        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await settle()
                await self.clock.advance(STREAM_CATCH_UP_MS)
        return results[0]


@pytest.mark.parametrize(
    ("answers", "rows", "expected", "requests"),
    [
        pytest.param([MOVED], LISTED, ProbeVerdict.MOVED, (1, 0), id="newer, another top"),
        pytest.param([NEWER], LISTED, ProbeVerdict.CALM, (1, 0), id="newer, the same top"),
        pytest.param([SAME], LISTED, ProbeVerdict.CALM, (1, 0), id="equal"),
        pytest.param([ODD], LISTED, ProbeVerdict.UNKNOWN, (1, 0), id="same id, another top"),
        pytest.param([OLDER], LISTED, ProbeVerdict.UNKNOWN, (1, 0), id="older"),
        pytest.param([OLD_SAME], LISTED, ProbeVerdict.UNKNOWN, (1, 0), id="older, the same top"),
        pytest.param([CROSSED], LISTED, ProbeVerdict.UNKNOWN, (1, 0), id="crossed"),
        pytest.param([NAN], LISTED, ProbeVerdict.UNKNOWN, (1, 0), id="not finite"),
        pytest.param([NO_BOOK, NEWER], LISTED, ProbeVerdict.CALM, (2, 0), id="empty once"),
        pytest.param([NO_BID, MOVED], LISTED, ProbeVerdict.MOVED, (2, 0), id="one side once"),
        pytest.param([NO_BOOK], LISTED, ProbeVerdict.EMPTY, (2, 1), id="empty twice"),
        pytest.param([NO_BID], LISTED, ProbeVerdict.EMPTY, (2, 1), id="one side twice"),
        pytest.param([NO_BOOK], HALTED, ProbeVerdict.GONE, (2, 1), id="empty and halted"),
        pytest.param([NO_BOOK, AWAY], LISTED, ProbeVerdict.UNKNOWN, (2, 0), id="empty, then none"),
        pytest.param([REFUSED], DELISTED, ProbeVerdict.GONE, (1, 1), id="-1121 and delisted"),
        pytest.param([REFUSED], HALTED, ProbeVerdict.GONE, (1, 1), id="-1121 and halted"),
        pytest.param([REFUSED], LISTED, ProbeVerdict.UNKNOWN, (1, 1), id="-1121 but listed"),
        pytest.param([REFUSED], (), ProbeVerdict.UNKNOWN, (1, 1), id="-1121, listing empty"),
        pytest.param([REFUSED], CLOSED, ProbeVerdict.UNKNOWN, (1, 1), id="-1121, all halted"),
        pytest.param([REFUSED], AWAY, ProbeVerdict.UNKNOWN, (1, 1), id="-1121, no listing"),
        pytest.param([FIREWALL], FIREWALL, ProbeVerdict.UNKNOWN, (1, 1), id="firewall"),
        pytest.param([RATE_LIMITED], LISTED, ProbeVerdict.UNKNOWN, (1, 0), id="rate limited"),
        pytest.param([AWAY], LISTED, ProbeVerdict.UNKNOWN, (1, 0), id="no answer"),
    ],
)
async def test_what_follows_from_each_answer(
    answers: list[Answer],
    rows: tuple[Listing, ...] | ChimeraError,
    expected: ProbeVerdict,
    requests: tuple[int, int],
) -> None:
    """The table of `probe_books`, row by row; and what each probe costs: books and listings."""
    probe = Probe(*answers)
    probe.venue.rows = rows
    result = await probe.run()

    assert result.verdict is expected
    assert (probe.venue.book_requests, probe.venue.listing_requests) == requests
    assert result.answered is (answers[-1] not in {AWAY, RATE_LIMITED})


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([SAME, SAME], ProbeVerdict.CALM),
        ([SAME, MOVED], ProbeVerdict.MOVED),
        ([SAME, OLDER], ProbeVerdict.UNKNOWN),
        ([SAME, ODD], ProbeVerdict.UNKNOWN),
        ([NO_BOOK, NO_BOOK], ProbeVerdict.EMPTY),
        ([SAME, AWAY], ProbeVerdict.UNKNOWN),
        ([SAME, REFUSED], ProbeVerdict.UNKNOWN),
        ([AWAY, MOVED], ProbeVerdict.UNKNOWN),
        ([REFUSED, MOVED], ProbeVerdict.UNKNOWN),
    ],
    ids=lambda value: str(value) if isinstance(value, ProbeVerdict) else "",
)
async def test_a_stream_without_a_quote_is_judged_by_two_answers(
    answers: list[Answer], expected: ProbeVerdict
) -> None:
    """Without a quote of ours, only the venue's own two answers can differ."""
    assert (await Probe(*answers).run(None)).verdict is expected


@pytest.mark.parametrize(
    ("field", "factor"), [("bid", 0.999), ("bid_qty", 2), ("ask", 1.001), ("ask_qty", 2)]
)
async def test_a_newer_book_that_differs_anywhere_has_moved(field: str, factor: float) -> None:
    other = structs.replace(NEWER, **{field: getattr(NEWER, field) * factor})
    assert (await Probe(other).run()).verdict is ProbeVerdict.MOVED


async def test_gone_says_what_the_venue_says() -> None:
    probe = Probe(REFUSED)
    probe.venue.rows = DELISTED
    reason = (await probe.run()).reason
    assert reason.startswith("the venue does not list it any more; ")
    assert reason.endswith("replied 400 -1121 Invalid symbol.")


async def test_a_calm_book_is_checked_with_the_listing_after_a_long_silence() -> None:
    """The book of a symbol that has stopped trading stays as it was."""
    probe = Probe(SAME)
    probe.venue.rows = HALTED
    assert (await probe.run(silence_ms=LONG_SILENCE_MS - 1)).verdict is ProbeVerdict.CALM
    result = await probe.run(silence_ms=LONG_SILENCE_MS)
    assert result == ProbeResult(ProbeVerdict.GONE, "the venue lists it as not trading")


async def test_one_reading_of_the_listing_serves_the_probes_of_a_minute() -> None:
    """Also where it failed."""
    for rows in (LISTED, AWAY):
        probe = Probe(REFUSED)
        probe.venue.rows = rows
        for _ in range(5):
            await probe.run(silence_ms=LISTING_AGE_MAX_MS)
        assert probe.venue.listing_requests == 1
        await probe.clock.advance(LISTING_AGE_MAX_MS)
        await probe.run(silence_ms=LISTING_AGE_MAX_MS)
        assert probe.venue.listing_requests == 2


async def test_a_listing_from_before_the_silence_proves_nothing() -> None:
    """The symbol was halted then, and has delivered since."""
    probe = Probe(REFUSED)
    probe.venue.rows = HALTED
    assert (await probe.run()).verdict is ProbeVerdict.GONE
    await probe.clock.advance(15_000)
    probe.venue.rows = LISTED
    assert (await probe.run(silence_ms=10_000)).verdict is ProbeVerdict.UNKNOWN


async def test_an_answer_that_takes_too_long_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_books, "PROBE_TIMEOUT_S", 0)
    probe = Probe(MOVED)
    result = await probe.run()
    assert (result.verdict, result.answered) == (ProbeVerdict.UNKNOWN, False)
    assert "no answer within" in result.reason
