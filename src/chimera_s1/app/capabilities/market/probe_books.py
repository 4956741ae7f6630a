"""Probe books: ask the venue by REST about the book of a silent stream, and judge its answers.

| answer | what it proves | verdict |
|---|---|---|
| newer than our last quote, another top | the stream misses updates | MOVED |
| newer, the same top | nothing at the top has changed | CALM |
| of the same update id, the same top | our quote is the present one | CALM |
| of the same update id, another top | it contradicts itself | UNKNOWN |
| older than our last quote | the REST side lags: nothing about the stream | UNKNOWN |
| crossed, negative or not finite | nothing: it is no book | UNKNOWN |
| an empty side, once | nothing: it may be a moment | asked again |
| an empty side, twice | there is no book; no socket can help | EMPTY, or GONE by the listing |
| refused (-1121 and all others) | nothing by itself: the listing decides | GONE or UNKNOWN |
| no answer, rate limited, too slow | nothing; the venue is left alone for a while | UNKNOWN |

Without a quote of ours, the venue's second answer is compared with its first. CALM for a long time
is checked with the listing too: the book of a symbol that has stopped trading stays as it was.
The listing proves GONE only when it was read after the stream fell silent, and lists others.
"""

import logging
from math import isfinite

import anyio
from msgspec import Struct

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import Listing
from chimera_s1.domain.market.probe_verdict import ProbeVerdict
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_information import ExchangeInformation, TopOfBook

STREAM_CATCH_UP_MS = 1_000
"""Wait for an update that was under way while the venue answered the probe."""

PROBE_TIMEOUT_S = 5.0
"""A slower answer proves nothing, and must not hold up other probes."""

LISTING_AGE_MAX_MS = 60_000
"""One reading of the listing (weight 20 on spot) serves all probes of a minute."""

LONG_SILENCE_MS = 600_000
"""A silence after which a calm book is checked with the listing."""

_log = logging.getLogger(__name__)


class ProbeResult(Struct, frozen=True):
    """Attributes:
    reason: For GONE: what the venue says; else for the log.

    answered: False if the venue gave no answer at all: others would get none either.
    """

    verdict: ProbeVerdict
    reason: str = ""
    answered: bool = True


class _Refused(Struct, frozen=True):
    text: str


class _NoAnswer(Struct, frozen=True):
    text: str


_Answer = TopOfBook | _Refused | _NoAnswer


class ProbeBooks:
    """Judges one stream at a time; shared by the watches of all venues."""

    def __init__(self, exchange: ExchangeInformation, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._listings: dict[Venue, tuple[float, dict[InstrumentId, Listing]]] = {}
        self._listing_locks = {venue: anyio.Lock() for venue in Venue}

    async def probe(
        self, instrument: InstrumentId, newest: Quote | None, silence_ms: float
    ) -> ProbeResult:
        """What the venue's answers prove about a stream that is silent for *silence_ms*.

        *newest* is our last quote of it. The caller must check afterwards whether the stream has
        delivered meanwhile.
        """
        first = await self._ask(instrument)
        if isinstance(first, _NoAnswer):
            return ProbeResult(ProbeVerdict.UNKNOWN, first.text, answered=False)
        await self._clock.sleep_ms(STREAM_CATCH_UP_MS)
        verdict = None if newest is None else judge(first, newest)
        if verdict is None or verdict is ProbeVerdict.EMPTY:
            second = await self._ask(instrument)
            verdict = judge(second, newest or first)
            first = first if isinstance(first, _Refused) else second
        return await self._with_listing(instrument, first, verdict, silence_ms)

    async def _with_listing(
        self, instrument: InstrumentId, answer: _Answer, verdict: ProbeVerdict, silence_ms: float
    ) -> ProbeResult:
        if isinstance(answer, _NoAnswer):
            return ProbeResult(verdict, answer.text, answered=False)
        refused = answer.text if isinstance(answer, _Refused) else ""
        long_calm = verdict is ProbeVerdict.CALM and silence_ms >= LONG_SILENCE_MS
        if not (refused or verdict is ProbeVerdict.EMPTY or long_calm):
            return ProbeResult(verdict)
        unlisted = await self._why_unlisted(instrument, silence_ms)
        if unlisted:
            reason = f"{unlisted}; the order book request was refused: {refused}"
            return ProbeResult(ProbeVerdict.GONE, reason if refused else unlisted)
        return ProbeResult(verdict, refused)

    async def _why_unlisted(self, instrument: InstrumentId, silence_ms: float) -> str:
        """Why the venue's listing says that *instrument* does not trade; empty if it does not."""
        listings = await self._listing(instrument.venue, silence_ms)
        if not any(listing.trading for listing in listings.values()):
            return ""  # no listing, or one that would close the whole venue
        listing = listings.get(instrument)
        if listing is None:
            return "the venue does not list it any more"
        return "" if listing.trading else "the venue lists it as not trading"

    async def _listing(self, venue: Venue, silence_ms: float) -> dict[InstrumentId, Listing]:
        age_max_ms = min(LISTING_AGE_MAX_MS, silence_ms)
        async with self._listing_locks[venue]:
            kept = self._listings.get(venue)
            if kept is not None and self._clock.monotonic_ms() - kept[0] <= age_max_ms:
                return kept[1]
            try:
                rows = await self._exchange.listings(venue)
            except (ExchangeUnavailableError, ExchangeRefusedError) as error:
                _log.warning("%s: listing unavailable for a probe: %s", venue, error)
                rows = ()
            found = {row.instrument: row for row in rows}
            # A failed reading is kept as well, so that other probes do not repeat it at once.
            self._listings[venue] = (self._clock.monotonic_ms(), found)
            return found

    async def _ask(self, instrument: InstrumentId) -> _Answer:
        try:
            with anyio.fail_after(PROBE_TIMEOUT_S):
                return await self._exchange.top_of_book(instrument)
        except TimeoutError:
            return _NoAnswer(f"no answer within {PROBE_TIMEOUT_S:g} s")
        except ExchangeUnavailableError as error:
            return _NoAnswer(str(error))
        except ExchangeRefusedError as error:
            return _Refused(str(error))


def judge(answer: _Answer, reference: Quote | _Answer) -> ProbeVerdict:
    """What *answer* proves, compared with our last quote or an earlier answer."""
    if not isinstance(answer, TopOfBook) or not isinstance(reference, Quote | TopOfBook):
        return ProbeVerdict.UNKNOWN
    numbers = (answer.bid, answer.bid_qty, answer.ask, answer.ask_qty)
    if not all(map(isfinite, numbers)) or min(numbers) < 0:
        return ProbeVerdict.UNKNOWN
    if min(numbers) == 0:
        return ProbeVerdict.EMPTY
    if answer.bid > answer.ask or answer.update_id < reference.update_id:
        return ProbeVerdict.UNKNOWN
    before = (reference.bid, reference.bid_qty, reference.ask, reference.ask_qty)
    if numbers == before:
        return ProbeVerdict.CALM
    newer = answer.update_id > reference.update_id
    return ProbeVerdict.MOVED if newer else ProbeVerdict.UNKNOWN
