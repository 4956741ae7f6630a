"""What a component's report means, in one sentence that says what to do where all is not well."""

from typing import assert_never

from chimera_s1.domain.operations.health import (
    LAG_GREEN_MS,
    P_UP_GREEN,
    SKEW_GREEN_MS,
    UNRESOLVED_GREEN_MS,
    ClockReport,
    FeedReport,
    HealthReport,
    LoopReport,
    MarketReport,
    StreamStoreReport,
    TreasuryReport,
)

_NAMES_SHOWN = 5


def describe_report(report: HealthReport) -> str:
    """*report* for the operator on call."""
    match report:
        case FeedReport():
            return _feed(report)
        case StreamStoreReport():
            return _streams(report)
        case ClockReport():
            return _clock(report)
        case MarketReport():
            return _market(report)
        case LoopReport(lag_ms=lag_ms):
            return _loop(lag_ms)
        case TreasuryReport():
            return _treasury(report)
        case _:
            assert_never(report)


def _feed(report: FeedReport) -> str:
    delivering = f"{report.delivering} of {_count(report.connections, 'connection')} deliver"
    if report.fatal:
        return (
            f"a connection is out of retries and {delivering}; it is dialled again at every scan: "
            "check the network and the exchange's status page"
        )
    if report.instruments is None:
        return (
            "the venue's list of instruments was not read yet; if this lasts, check that the "
            "exchange can be reached from here (S1_BINANCE_ENV)"
        )
    if report.delivering < report.connections:
        return (
            f"{delivering}; the rest is being connected: if this lasts, check the network "
            "and the exchange's status page"
        )
    return _feed_at_work(report, report.instruments)


def _market(report: MarketReport) -> str:
    known = f"{report.live} LIVE, {report.quiet} QUIET, {report.stale} STALE, {report.blind} BLIND"
    if report.stale or report.blind:
        return f"{known}; mkt:status says which and since when: do not trade on these quotes"
    return known


def _feed_at_work(report: FeedReport, instruments: int) -> str:
    served = (
        f"{_count(instruments, 'instrument')} on {_count(report.connections, 'connection')}"
        if instruments
        else "no instrument of this venue is chosen for this shard"
    )
    if not report.unlisted:
        return served
    shown = ", ".join(report.unlisted[:_NAMES_SHOWN])
    more = len(report.unlisted) - _NAMES_SHOWN
    names = f"{shown} and {more} more" if more > 0 else shown
    return f"{served}; the venue does not list {names}: correct S1_SYMBOLS"


def _streams(report: StreamStoreReport) -> str:
    if not report.reachable:
        cause = report.cause or "it was not reached yet"
        return (
            f"Redis does not accept writes ({cause}): check that the cluster runs and that "
            "S1_REDIS_ADDRESSES names it; meanwhile the newest quote of each instrument is kept"
        )
    if report.pending:
        return (
            f"a Redis node does not answer, and {_count(report.pending, 'quote')} cannot be "
            "written: check the cluster's nodes; the newest of each instrument is kept"
        )
    if report.merging_windows:
        return (
            "writing takes longer than the conflation window, so windows are merged: "
            "raise S1_CONFLATION_MS, serve fewer S1_SYMBOLS, or split them with S1_SHARD"
        )
    return "every write is acknowledged"


def _clock(report: ClockReport) -> str:
    parts: list[str] = []
    if report.offset_ms is None:
        parts.append("the exchange's clock was not measured yet: ts is not corrected")
    else:
        side = "behind" if report.offset_ms > 0 else "ahead of"
        parts.append(f"this clock is {abs(report.offset_ms):.0f} ms {side} the exchange's")
        if abs(report.offset_ms) > SKEW_GREEN_MS:
            parts.append("synchronise it (chrony or ntpd)")
    if report.p_up < P_UP_GREEN:
        parts.append(
            f"only {report.p_up:.0%} of the time requests are answered: "
            "check the network to the exchange"
        )
    return "; ".join(parts)


def _treasury(report: TreasuryReport) -> str:
    if report.ledger_damage:
        return (
            f"the ledger is damaged: {report.ledger_damage}; nothing is written to it: "
            "see the runbook, "
            "and chimera-s1 ledger verify"
        )
    if report.store_error:
        return (
            f"the ledger's store cannot be used: {report.store_error}; transfers wait: check "
            "what S1_DB_ARANGO_URI or S1_DB_SQLITE_PATH names"
        )
    parts = [f"{report.waiting} waiting, {report.unresolved} unresolved"]
    if report.in_review:
        parts.append(f"{_count(report.in_review, 'transfer')} in review: look, then resolve")
    if report.oldest_unresolved_ms > UNRESOLVED_GREEN_MS:
        seconds = report.oldest_unresolved_ms // 1000
        parts.append(f"an outcome has been unknown for {seconds} s: reconciliation goes on")
    if report.key_problem:
        parts.append(f"the exchange key: {report.key_problem}")
    if report.relay_error:
        parts.append(f"events do not reach ops:events ({report.relay_error}): check Redis")
    if report.kill_switch_error:
        parts.append(f"the kill switch cannot be read ({report.kill_switch_error})")
    if report.kill_switch_on:
        parts.append("the kill switch is on, or was never read: nothing is sent")
    return "; ".join(parts)


def _loop(lag_ms: float) -> str:
    if lag_ms <= LAG_GREEN_MS:
        return f"wakes up at most {lag_ms:.0f} ms late"
    return (
        f"wakes up {lag_ms:.0f} ms late: give the process more CPU, serve fewer S1_SYMBOLS, "
        "or split them with S1_SHARD"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
