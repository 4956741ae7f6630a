"""What the control plane shows, as it is printed."""

from typing import Any

import orjson

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.registry import Fault
from chimera_s1.adapters.simulator.faults.scenario_player import ScenarioRun
from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.topic import SentFrame

View = dict[str, Any]


def clock_view(clock: ScaledClock) -> View:
    """The exchange's time, and how it differs from ours."""
    now = clock.now_ms()
    offset_ms = now - clock.local_ms()
    drift = round((clock.rate - 1) * 1000, 6)
    return {"now_ms": now, "rate": clock.rate, "drift_ms_per_s": drift, "offset_ms": offset_ms}


def hub_view(hub: StreamHub) -> View:
    """One venue's connections and frames."""
    return {
        "connections": len(hub.sessions),
        "connections_opened": hub.connections_opened,
        "subscriptions": sum(len(session.subscriptions) for session in hub.sessions),
        "streams_delivering": len(hub.topics),
        "frames_sent": hub.frames_sent,
        "frames_skipped": hub.frames_skipped,
        "bytes_unread": hub.bytes_unread,
        "open": [_session_view(hub, session) for session in hub.sessions],
    }


def _session_view(hub: StreamHub, session: Session) -> View:
    return {
        "on": f"ws:{hub.venue.value}#{session.number}",
        "subscriptions": len(session.subscriptions),
        "frames_skipped": session.skipped,
        "bytes_unread": session.unread_bytes,
        "muted": session.muted,
    }


def frame_view(sent: SentFrame) -> View:
    """A frame that went out; what is no JSON is shown as text."""
    return {"sent_ms": sent.sent_ms, "stream": sent.stream, "data": _shown(sent.payload)}


def _shown(payload: bytes) -> object:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload.decode("utf-8", "replace")


def books_view(market: SymbolMarket) -> View:
    """Every top of book that *market* ever shows, in its order: bid, its quantity, ask, its quantity."""
    spec = market.spec
    books = [
        (
            spec.price(book.bid),
            spec.quantity(book.bid_steps),
            spec.price(book.ask),
            spec.quantity(book.ask_steps),
        )
        for book in market.path
    ]
    return {"venue": spec.venue.value, "symbol": spec.symbol, "books": books}


def fault_view(fault: Fault, *, live: bool) -> View:
    """A fault, and whether and when it fired (local epoch ms)."""
    return {
        "id": fault.id,
        "on": fault.on,
        "do": fault.do,
        "times": fault.times,
        "fired": fault.fired,
        "first_fired_ms": fault.first_fired_ms,
        "last_fired_ms": fault.last_fired_ms,
        "live": live,
    }


def scenario_view(run: ScenarioRun | None) -> View:
    """The scenario that was started last: what was armed, what is to come."""
    if run is None:
        return {"scenario": None}
    steps = run.scenario.step
    return {
        "scenario": run.scenario.name,
        "started_ms": run.started_ms,
        "over": run.finished,
        "steps": [
            {
                "at_s": step.at_s,
                "on": step.on,
                "do": step.do,
                "fault": run.faults[index] if index < len(run.faults) else None,
                "armed": index < len(run.faults) and run.faults[index] is not None,
            }
            for index, step in enumerate(steps)
        ],
    }
