"""Probes compare the venue's answer with the last quote."""

import anyio
import pytest
from anyio import wait_all_tasks_blocked as settle
from msgspec import structs

from chimera_s1.app.capabilities.market.probe_books import STREAM_CATCH_UP_MS, ProbeBooks
from chimera_s1.domain.errors import (
    ChimeraError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.exchange_information import TopOfBook
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.fakes.manual_clock import ManualClock
from tests.sample_quotes import quote

NEWEST = quote()
SAME = TopOfBook(NEWEST.bid, NEWEST.bid_qty, NEWEST.ask, NEWEST.ask_qty)


async def probed(
    newest: Quote | None, first: TopOfBook | ChimeraError, second: TopOfBook | ChimeraError
) -> bool | None:
    """The result of a probe if the venue answers *first* and then always *second*."""
    clock = ManualClock()
    exchange = MemoryExchangeInformation(clock)
    results: list[bool | None] = []

    def answer(what: TopOfBook | ChimeraError) -> None:
        exchange.error = what if isinstance(what, ChimeraError) else None
        if isinstance(what, TopOfBook):
            exchange.book_tops = {NEWEST.instrument: what}

    async def ask() -> None:
        results.append(await ProbeBooks(exchange, clock).has_moved(NEWEST.instrument, newest))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            answer(first)
            tasks.start_soon(ask)
            await settle()
            assert not results, "the stream is given time to catch up"
            answer(second)
            await clock.advance(STREAM_CATCH_UP_MS)
    return results[0]


async def test_book_equal_to_the_last_quote_has_not_moved() -> None:
    assert await probed(NEWEST, SAME, SAME) is False


@pytest.mark.parametrize("field", ["bid", "bid_qty", "ask", "ask_qty"])
async def test_a_book_that_differs_anywhere_has_moved(field: str) -> None:
    other = structs.replace(SAME, **{field: getattr(SAME, field) * 2})

    assert await probed(NEWEST, other, SAME) is True


@pytest.mark.parametrize(("second", "moved"), [(SAME, False), (TopOfBook(1, 1, 2, 1), True)])
async def test_stream_without_a_quote_is_judged_by_two_answers(
    second: TopOfBook, *, moved: bool
) -> None:
    """Without a quote of ours, only the venue's own two answers can differ."""
    assert await probed(None, SAME, second) is moved


@pytest.mark.parametrize("refusal", [ExchangeUnavailableError("gone"), ExchangeRefusedError("no")])
@pytest.mark.parametrize("newest", [NEWEST, None])
async def test_without_an_answer_the_result_is_unknown(
    refusal: ChimeraError, newest: Quote | None
) -> None:
    assert await probed(newest, refusal, SAME) is None


async def test_without_a_second_answer_the_result_is_unknown() -> None:
    assert await probed(None, SAME, ExchangeUnavailableError("gone")) is None
