"""The `cause` of an entry of `mkt:status:*` that concerns one instrument."""

from chimera_s1.domain.market.liveness import Liveness, StreamLiveness
from chimera_s1.domain.market.probe_verdict import ProbeVerdict

OFF_SESSION = "off_session: its market is closed"

_USUAL = {
    Liveness.LIVE: "updates arrive",
    Liveness.QUIET: "no update for longer than usual",
    Liveness.BLIND: "no messages on the connection",
}


def stream_cause(stream: StreamLiveness) -> str:
    """Begins with the source of the stream."""
    return f"{stream.key[1]}: {_reason(stream)}"


def _reason(stream: StreamLiveness) -> str:
    match stream.state:
        case Liveness.STALE:
            return _stale_reason(stream)
        case Liveness.QUIET if stream.is_off_session:
            return OFF_SESSION
        case Liveness.LATE:
            return f"quotes arrive {(stream.lateness.lag_ms or 0) / 1000:.1f} s after their event"
        case Liveness.DEGRADED if stream.frames is not None:
            return stream.frames.summary
        case _:
            return _USUAL.get(stream.state or Liveness.LIVE, "updates arrive")


def _stale_reason(stream: StreamLiveness) -> str:
    if stream.gone:
        return f"gone: {stream.gone}"
    if stream.verdict is ProbeVerdict.EMPTY:
        return "no updates, and the venue's book is empty"
    return "no updates although the venue's book changes"
