"""The control plane's JSON replies."""

from typing import Any

import orjson

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.registry import Fault
from chimera_s1.adapters.simulator.faults.scenario_player import ScenarioRun
from chimera_s1.adapters.simulator.market.market import SymbolMarket
from chimera_s1.adapters.simulator.not_simulated import NotSimulated
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.topic import SentFrame

View = dict[str, Any]


def clock_view(clock: ScaledClock) -> View:
    now = clock.now_ms()
    offset_ms = now - clock.local_ms()
    drift = round((clock.rate - 1) * 1000, 6)
    return {"now_ms": now, "rate": clock.rate, "drift_ms_per_s": drift, "offset_ms": offset_ms}


def hub_view(hub: StreamHub) -> View:
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
    return {"sent_ms": sent.sent_ms, "stream": sent.stream, "data": _json_or_text(sent.payload)}


def _json_or_text(payload: bytes) -> object:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload.decode("utf-8", "replace")


def books_view(market: SymbolMarket) -> View:
    """Every top of book of *market* in order: bid, its quantity, ask, its quantity."""
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


def not_simulated_view(not_simulated: NotSimulated) -> View:
    """What clients asked for in vain, the most frequent first."""
    asked = [
        {
            "venue": missing.venue.value,
            "kind": missing.feature.value,
            "name": missing.name,
            "reply": missing.reply,
            "count": count,
        }
        for missing, count in not_simulated.counts()
    ]
    return {"asked": asked, "unlisted": not_simulated.unlisted}


def scenario_view(run: ScenarioRun | None) -> View:
    if run is None:
        return {"scenario": None}
    return {
        "scenario": run.scenario.name,
        "started_ms": run.started_ms,
        "over": run.finished,
        "steps": [_step_view(run, index) for index in range(len(run.scenario.step))],
    }


def _step_view(run: ScenarioRun, index: int) -> View:
    step = run.scenario.step[index]
    fault = run.faults[index] if index < len(run.faults) else None
    return {
        "at_s": step.at_s,
        "on": step.on,
        "do": step.do,
        "fault": fault,
        "armed": fault is not None,
    }
