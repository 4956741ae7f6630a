"""The writes of quotes to one node of the stream store."""

import logging
from collections.abc import Collection, Sequence

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote, StreamKey

WAITING_MAX = 100_000
"""More quotes than this do not wait in a lane: only the newest of each stream stays."""

_log = logging.getLogger(__name__)


class NodeLane:
    """One write or ping at a time; lanes do not wait for each other.

    What it says about the node is settled: the result of the last write or ping that has ended.

    Attributes:
        node: Its name in `QuotePublisher`; '' for streams without a known node.
        waiting: Quotes not passed to the publisher yet, in order.
        since_ms: From when the latency of the next write counts, monotonic.
        writing: Whether quotes are being written.
        busy: Whether quotes are being written or a ping is in progress.
        problem: Why the node did not accept everything; empty if it did, or was not tried yet.
        refused: Streams that it refused in a write of which it accepted the rest. Until they are
            accepted, or a ping finds no problem, `problem` stays.
        accepts: Whether it accepted something.
        accepted_ms: When it last accepted everything, monotonic; None if it never did.
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self.waiting: list[Quote] = []
        self.since_ms = 0.0
        self.writing = False
        self.busy = False
        self.problem = ""
        self.refused: set[StreamKey] = set()
        self.accepts = False
        self.accepted_ms: float | None = None

    def add(self, quotes: Sequence[Quote], since_ms: float, *, newest_only: bool) -> int:
        """Let *quotes* wait; returns how many were replaced by newer ones of their stream.

        With *newest_only* just the newest of each stream stays, and the latency counts from
        *since_ms*; without, up to `WAITING_MAX` stay, and it counts from that of the oldest.
        """
        if newest_only or not self.waiting:
            self.since_ms = since_ms
        if not self.waiting:
            self.waiting = list(quotes)
            return 0
        self.waiting += quotes
        if not newest_only and len(self.waiting) <= WAITING_MAX:
            return 0
        newest: dict[StreamKey, Quote] = {}
        for quote in self.waiting:
            key = quote.instrument, quote.source
            newest.pop(key, None)  # a replaced value would keep its place, before older quotes
            newest[key] = quote
        replaced = len(self.waiting) - len(newest)
        self.waiting = list(newest.values())
        return replaced

    def take(self) -> list[Quote]:
        taken, self.waiting = self.waiting, []
        return taken

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        """*instruments* are not served any more."""
        self.waiting = [quote for quote in self.waiting if quote.instrument not in instruments]
        self.refused = {key for key in self.refused if key[0] not in instruments}

    def settle(
        self, written: Sequence[Quote], not_accepted: Sequence[Quote], *, accepted: int
    ) -> None:
        """After a write of *written*, of which *accepted* quotes were."""
        if not self.refused and not not_accepted:
            return
        refused = {(quote.instrument, quote.source) for quote in not_accepted}
        self.refused -= {(quote.instrument, quote.source) for quote in written} - refused
        if accepted:
            self.refused |= refused

    def record(self, problem: str, *, accepts: bool, now_ms: float) -> None:
        """Settle the result of a write or ping that ended at *now_ms*, monotonic."""
        if self.refused:
            problem = problem or self.problem
        if not problem:
            self.accepted_ms = now_ms
        if problem and not self.problem:
            _log.error(
                "quotes not accepted: %s; the newest of each stream is kept and retried: "
                "check that node",
                problem,
            )
        elif self.problem and not problem:
            _log.info("Redis %s accepts quotes again", self.node)
        self.problem, self.accepts = problem, accepts
