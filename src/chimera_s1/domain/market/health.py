"""Health reports of market data: feeds, Redis writes and instrument liveness."""

from msgspec import Struct

from chimera_s1.domain.operations.health import Level, count
from chimera_s1.domain.operations.reconnect import RECONNECT_GRACE_MS

_NAMES_SHOWN = 5
_WAIT_SHOWN_MS = 1_000

CORRECT_NAME = "correct the name in S1_SYMBOLS, or at S10 if that chooses the symbols"
"""What to do about a symbol that the venue does not have."""

LISTING_GRACE_MS = 30_000
"""A start: the listing is read again with growing waits."""
WRITE_GRACE_MS = 10_000
"""Connections of the clients are made again, and the cluster map is read again."""
FAILOVER_GRACE_MS = 30_000
"""A replica takes over after `cluster-node-timeout`, by default 15 s, and an election."""


class FeedReport(Struct, frozen=True):
    """A venue's market data.

    Attributes:
        instruments: Instruments subscribed; None until the venue's listing is read.
        unlisted: Names in `S1_SYMBOLS` that the venue does not list.
        connections: Connections required.
        delivering: Connections that are open and have delivered a message.
        fatal: True while a connection has used up its retries.
        kept: Instruments that are served only because a capability holds them, and its name.
        listing_error: Why the listing is not known, or not current; empty if it is.
        chosen: False while S10 has not named the symbols to serve.
        dial_wait_ms: Until the venue's limits allow the next dial; 0 when they do.
    """

    instruments: int | None
    unlisted: tuple[str, ...]
    connections: int
    delivering: int
    fatal: bool
    dial_wait_ms: float = 0.0
    listing_error: str = ""
    kept: tuple[str, ...] = ()
    chosen: bool = True

    @property
    def level(self) -> Level:
        """RED: no listing, no choice of symbols, FATAL or none delivers; ORANGE: some deliver;
        YELLOW: unlisted names, or a listing that is not current.
        """
        if self.instruments is None or not self.chosen or self.fatal:
            return Level.RED
        if self.connections and not self.delivering:
            return Level.RED
        if self.delivering < self.connections:
            return Level.ORANGE
        return Level.YELLOW if self.unlisted or self.listing_error else Level.GREEN

    @property
    def grace_ms(self) -> float:
        """None for FATAL: it has used up its retries."""
        if self.fatal:
            return 0
        starting = self.instruments is None or not self.chosen
        return LISTING_GRACE_MS if starting else RECONNECT_GRACE_MS

    @property
    def sentence(self) -> str:
        delivering = f"{self.delivering} of {count(self.connections, 'connection')} deliver"
        if self.dial_wait_ms >= _WAIT_SHOWN_MS and self.delivering < self.connections:
            return (
                f"{delivering}; the venue's limits allow the next dial in "
                f"{self.dial_wait_ms / 1000:.0f} s: see limits.* for the cause"
            )
        if self.fatal:
            return (
                f"a connection is out of retries and {delivering}; it is dialled again at every "
                "scan: check the network and the exchange's status page"
            )
        if self.instruments is None:
            cause = f" ({self.listing_error})" if self.listing_error else ""
            return (
                f"the venue's list of instruments was not read yet{cause}; if this lasts, check "
                "that the exchange can be reached from here (S1_BINANCE_ENV, S1_EGRESS_PROXY)"
            )
        if not self.chosen:
            return (
                "S1_SYMBOLS=s10, and S10 has not named the symbols to serve since the first start; "
                "see s10 for the cause"
            )
        if self.delivering < self.connections:
            return (
                f"{delivering}; the rest is being connected: if this lasts, check the network "
                "and the exchange's status page"
            )
        return (
            self._served(self.instruments) + self._kept() + self._unlisted() + self._not_current()
        )

    def _served(self, instruments: int) -> str:
        if not instruments:
            return "no instrument of this venue is chosen for this shard"
        return f"{count(instruments, 'instrument')} on {count(self.connections, 'connection')}"

    def _kept(self) -> str:
        return f"; kept although not chosen: {_shown(self.kept)}" if self.kept else ""

    def _unlisted(self) -> str:
        if not self.unlisted:
            return ""
        return f"; the venue does not list {_shown(self.unlisted)}: {CORRECT_NAME}"

    def _not_current(self) -> str:
        if not self.listing_error:
            return ""
        return f"; listings and delistings are not followed: {self.listing_error}"


class ListingNewsReport(Struct, frozen=True):
    """The stream of listings and delistings.

    Attributes:
        notices: Since the start.
        unusable: Messages that were not understood.
    """

    connected: bool
    notices: int = 0
    unusable: int = 0

    @property
    def level(self) -> Level:
        return Level.GREEN if self.connected else Level.YELLOW

    @property
    def grace_ms(self) -> float:
        return RECONNECT_GRACE_MS

    @property
    def sentence(self) -> str:
        if not self.connected:
            return (
                "not connected: listings and delistings are found late, when the listing is read "
                "at its interval; check the network and the exchange's status page"
            )
        heard = f"connected; {count(self.notices, 'notice')} since the start"
        return f"{heard}, and {self.unusable} that could not be read" if self.unusable else heard


class StreamStoreReport(Struct, frozen=True):
    """Writes of quotes to Redis Cluster.

    Attributes:
        reachable: True if the last write or ping of a node was acknowledged, at least in part.
        pending: Streams whose newest quote is not acknowledged: it is retried, or waits for a
            failing node.
        merging_windows: True while writes take longer than a window.
        cause: The error of the last write or ping of each failing node; empty if there is none.
        failing_nodes: Nodes whose last write or ping was not acknowledged completely.
        nodes: All nodes.
    """

    reachable: bool
    pending: int
    merging_windows: bool
    cause: str
    failing_nodes: int = 0
    nodes: int = 1

    @property
    def level(self) -> Level:
        """RED: no node is reachable; ORANGE: a node fails; YELLOW: windows are merged."""
        if not self.reachable:
            return Level.RED
        if self.pending or self.failing_nodes:
            return Level.ORANGE
        return Level.YELLOW if self.merging_windows else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return FAILOVER_GRACE_MS if self.reachable else WRITE_GRACE_MS

    @property
    def sentence(self) -> str:
        if not self.reachable:
            cause = self.cause or "not connected yet"
            return (
                f"Redis does not accept writes ({cause}): check that the cluster runs and that "
                "S1_REDIS_ADDRESSES names it; meanwhile the newest quote of each instrument is kept"
            )
        if self.failing_nodes:
            return (
                f"{self.failing_nodes} of {count(self.nodes, 'Redis node')} does not accept "
                f"every write ({self.cause}): check it; {count(self.pending, 'quote')} of its "
                "streams, the newest of each, kept and retried; the other streams are written"
            )
        if self.pending:
            return (
                f"{count(self.pending, 'quote')} not acknowledged yet, the newest of each stream: "
                "kept and retried; if it lasts, check the Redis nodes"
            )
        if self.merging_windows:
            return (
                "writing takes longer than the conflation window, so windows are merged: "
                "raise S1_CONFLATION_MS, serve fewer S1_SYMBOLS, or split them with S1_SHARD"
            )
        return "every write is acknowledged"


class MarketReport(Struct, frozen=True):
    """A venue's instruments by liveness; see `domain.market.liveness`.

    Attributes:
        gone: Symbols that the venue does not trade any more; they count in no other state.
        troubles: What is common to the instruments of a connection, one sentence each.
    """

    live: int
    quiet: int
    stale: int
    blind: int
    late: int = 0
    degraded: int = 0
    gone: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """ORANGE: some are LATE, DEGRADED, STALE or BLIND; RED: none is LIVE, QUIET or LATE;
        YELLOW: some are gone.
        """
        if not (self.stale or self.blind or self.late or self.degraded):
            return Level.YELLOW if self.gone else Level.GREEN
        return Level.ORANGE if self.live or self.quiet or self.late else Level.RED

    @property
    def grace_ms(self) -> float:
        """Consumers do not wait for it: `mkt:status` has each change at once."""
        return RECONNECT_GRACE_MS

    @property
    def sentence(self) -> str:
        parts = [self._counts(), *self.troubles[:_NAMES_SHOWN]]
        if self.stale or self.blind or self.degraded:
            parts.append("mkt:status says which and since when: do not trade on these quotes")
        elif self.late:
            parts.append("their ts is right, the quotes are old: do not trade on them")
        if self.gone:
            names = _shown(self.gone)
            parts.append(f"gone: the venue does not trade {names} any more: {CORRECT_NAME}")
        return "; ".join(parts)

    def _counts(self) -> str:
        counts = f"{self.live} LIVE, {self.quiet} QUIET, {self.stale} STALE, {self.blind} BLIND"
        counts += f", {self.late} LATE" if self.late else ""
        return counts + (f", {self.degraded} DEGRADED" if self.degraded else "")


def _shown(names: tuple[str, ...]) -> str:
    """`A, B, C, D, E and 3 more`."""
    shown, more = ", ".join(names[:_NAMES_SHOWN]), len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
