"""Checks that hold for every published quote: none is wrong, crossed, reordered or stale."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote, book_defect

Numbers = tuple[float, float, float, float]


async def sent_frames(
    control: httpx2.AsyncClient, instruments: Sequence[InstrumentId]
) -> dict[tuple[InstrumentId, str], list[dict[str, Any]]]:
    """The last frames the simulator sent, by instrument and source, oldest first. Frames that are
    not JSON objects are omitted.
    """
    found: dict[tuple[InstrumentId, str], list[dict[str, Any]]] = {}
    for instrument in instruments:
        path = f"/sim/quotes/{instrument.venue.value}/{instrument.symbol}"
        reply = (await control.get(path)).raise_for_status().json()
        for frame in reply["frames"]:
            if isinstance(frame["data"], dict):
                channel = frame["stream"].split("@")[1]
                source = f"binance.{instrument.venue.value}.{channel}"
                found.setdefault((instrument, source), []).append(frame["data"])
    return found


async def check_quotes(
    control: httpx2.AsyncClient, quotes: Sequence[Quote], *, offset_ms: float = 0.0
) -> None:
    """Compare *quotes*, in the order they were published, with the frames sent.

    Args:
        control: The simulator's control plane.
        quotes: At least one of them among the last frames sent.
        offset_ms: Exchange minus local clock while they were received.
    """
    check_alone(quotes)
    sent = await sent_frames(control, sorted({quote.instrument for quote in quotes}))
    compared = sum(
        _compare(quote, frames, offset_ms)
        for quote in quotes
        for frames in [sent.get((quote.instrument, quote.source), [])]
    )
    assert compared, "the simulator has none of these quotes"


def check_alone(quotes: Sequence[Quote]) -> None:
    """Checks without the frames sent: valid books, increasing ids, no future times."""
    newest: dict[tuple[InstrumentId, str], Quote] = {}
    for quote in quotes:
        key = quote.instrument, quote.source
        assert book_defect(quote.bid, quote.bid_qty, quote.ask, quote.ask_qty) is None, quote
        before = newest.get(key)
        if before is not None:
            assert quote.update_id > before.update_id, f"reordered or repeated: {quote}"
            assert quote.ts >= before.ts, f"ts went back from {before.ts}: {quote}"
        assert quote.ts <= quote.received_ms, f"from the future: {quote}"
        newest[key] = quote


def _compare(quote: Quote, frames: Sequence[Mapping[str, Any]], offset_ms: float) -> bool:
    """Whether the frame of *quote* is known; fails if its values differ."""
    same = [frame for frame in frames if _update_id(frame) == quote.update_id]
    if not same:
        return False
    ours = (quote.bid, quote.bid_qty, quote.ask, quote.ask_qty)
    numbers = [_numbers(frame) for frame in same]
    assert ours in numbers, f"{quote} is none of {same}"
    event_ms = same[numbers.index(ours)].get("E")
    lag_ms = None if event_ms is None else quote.received_ms - round(event_ms - offset_ms)
    assert quote.lag_ms == lag_ms
    assert quote.ts >= quote.received_ms - max(0, lag_ms or 0)
    return True


def _update_id(frame: Mapping[str, Any]) -> object:
    return frame.get("u", frame.get("lastUpdateId"))


def _numbers(frame: Mapping[str, Any]) -> Numbers | None:
    try:
        if "bids" in frame:
            (bid, bid_qty), (ask, ask_qty) = frame["bids"][0], frame["asks"][0]
        elif "B" in frame:
            bid, bid_qty, ask, ask_qty = (frame[key] for key in "bBaA")
        else:
            (bid, bid_qty), (ask, ask_qty) = frame["b"][0], frame["a"][0]
        return float(bid), float(bid_qty), float(ask), float(ask_qty)
    except (TypeError, ValueError, IndexError, KeyError):
        return None  # malformed on purpose
