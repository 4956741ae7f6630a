"""One venue's streams: who listens to what, and how a payload reaches them."""

from collections import deque

import anyio

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.actions import FaultKind
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.streams.control_messages import SubscriptionChanges
from chimera_s1.adapters.simulator.streams.frame_faults import (
    Frame,
    apply_frame_fault,
    is_applicable,
)
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.stream_names import StreamKind, parse_stream
from chimera_s1.adapters.simulator.streams.topic import FRAMES_KEPT, SentFrame, Topic
from chimera_s1.domain.identifiers import Venue


class StreamHub:
    """Keeps sessions and topics of one venue; implements `session.SessionOwner`.

    Attributes:
        frames: Sent since the start, over all connections.
        changes: Grows when subscriptions change, so that others know when to look again.
    """

    def __init__(
        self,
        venue: Venue,
        market: Market,
        clock: ScaledClock,
        faults: FaultRegistry,
        subscribed: anyio.Event,
    ) -> None:
        """Args:
        venue: Whose streams these are.
        market: The books of both venues.
        clock: The exchange's.
        faults: Those of both venues.
        subscribed: Set when the first stream delivers.
        """
        self.venue = venue
        self.market = market
        self.clock = clock
        self.sessions: dict[Session, None] = {}
        self.topics: dict[str, Topic] = {}
        self.frames_sent = 0
        self.subscription_version = 0
        self.connections_opened = 0
        self._faults = faults
        self._subscribed = subscribed
        self._faults_active = False
        self._reordered: dict[Topic, Frame] = {}
        self._local_ms = 0
        self._skipped_before = 0
        self._recent: dict[str, deque[SentFrame]] = {}

    @property
    def frames_skipped(self) -> int:
        """Frames not sent because their client read too slowly."""
        return self._skipped_before + sum(session.skipped for session in self.sessions)

    @property
    def bytes_unread(self) -> int:
        """Written and not yet taken by the clients' networks, over all connections."""
        return sum(session.unread_bytes for session in self.sessions)

    def recent_frames(self, symbol: str) -> list[SentFrame]:
        """The last FRAMES_KEPT frames of *symbol* that went out, oldest first."""
        return list(self._recent.get(symbol, ()))

    def add(self, session: Session) -> None:
        """Take in a connection."""
        self.sessions[session] = None
        self.connections_opened += 1
        session.number = self.connections_opened

    def remove(self, session: Session) -> None:
        """Forget a connection."""
        if session in self.sessions:
            del self.sessions[session]
            self._skipped_before += session.skipped
            self._detach(session, tuple(session.subscriptions))

    def change_subscriptions(self, session: Session, changes: SubscriptionChanges) -> None:
        """Subscribe, unsubscribe, switch between raw and combined."""
        self._detach(session, changes.unsubscribe)
        for name in changes.unsubscribe:
            session.subscriptions.pop(name, None)
        fresh = tuple(name for name in changes.subscribe if name not in session.subscriptions)
        session.subscriptions |= dict.fromkeys(fresh)
        self._attach(session, fresh)
        if changes.combined is not None and changes.combined is not session.combined:
            everything = tuple(session.subscriptions)
            self._detach(session, everything)
            session.combined = changes.combined
            self._attach(session, everything)

    def begin_batch(self) -> None:
        """Before a batch of frames: what is the time, who lags, are frames to be touched."""
        self._local_ms = self.clock.local_ms()
        self._faults_active = bool(self._reordered) or self._faults.has_frame_faults(self.venue)
        for session in tuple(self.sessions):
            session.check_backlog()

    def publish(self, topic: Topic, payload: bytes) -> None:
        """Queue *payload* for everybody who listens to *topic*, with the faults in force."""
        if self._faults_active:
            for frame in self._with_faults(topic, payload):
                self._send(topic, frame.payload, topic.emit_frame(frame))
        else:
            self._send(topic, payload, topic.emit(payload))

    def _send(self, topic: Topic, payload: bytes, queued: int) -> None:
        self.frames_sent += queued
        if queued and topic.recent is not None:
            topic.recent.append(SentFrame(self._local_ms, topic.name, payload))

    def _with_faults(self, topic: Topic, payload: bytes) -> tuple[Frame, ...]:
        if topic in self._reordered:
            return Frame(payload), self._reordered.pop(topic)
        action = self._faults.take_frame_fault(
            self.venue, topic.name, lambda action: is_applicable(action, payload)
        )
        if action is None:
            return (Frame(payload),)
        if action.kind is FaultKind.REORDER:
            self._reordered[topic] = Frame(payload)
        return apply_frame_fault(payload, action)

    def end_batch(self) -> None:
        """After a batch of frames: one write per connection."""
        for session in tuple(self.sessions):
            session.flush()

    def handshake_refusal(self) -> int:
        """The HTTP status that a new connection is refused with; 0 lets it in."""
        action = self._faults.take_handshake_fault(self.venue)
        return action.number if action else 0

    def _attach(self, session: Session, names: tuple[str, ...]) -> None:
        for name in names:
            topic = self._topic(name)
            # The silent cases: acknowledged, listed, and never delivered.
            if topic is not None and topic.stream.route is session.path.route:
                (topic.combined if session.combined else topic.raw).append(session)
                self._subscribed.set()
        self.subscription_version += 1

    def _detach(self, session: Session, names: tuple[str, ...]) -> None:
        for name in names:
            topic = self.topics.get(name)
            if topic is None:
                continue
            for listeners in (topic.raw, topic.combined):
                if session in listeners:
                    listeners.remove(session)
            if not topic.has_listeners:
                del self.topics[name]
                self._reordered.pop(topic, None)
        self.subscription_version += 1

    def _topic(self, name: str) -> Topic | None:
        topic = self.topics.get(name)
        if topic is not None:
            return topic
        stream = parse_stream(self.venue, name)
        if stream is None:
            return None
        market = self._listed(stream.symbol)
        if stream.symbol and market is None:
            return None
        topic = self.topics[name] = Topic(name, stream, market, phase=self.subscription_version)
        if market is not None:
            symbol = market.spec.symbol
            topic.recent = self._recent.setdefault(symbol, deque(maxlen=FRAMES_KEPT))
        return topic

    def _listed(self, symbol: str) -> SymbolMarket | None:
        market = self.market.find(self.venue, symbol)
        # COIN-M contracts show up in the all-market streams of this host, not under their own name.
        return market if market is not None and market.spec.margin_kind == 1 else None

    def book_topics(self) -> list[Topic]:
        """Topics that make books move."""
        return [topic for topic in self.topics.values() if topic.stream.follows_book]

    def book_ticker_topic(self, market: SymbolMarket) -> Topic | None:
        """The book ticker topic of *market*, if anybody listens to it."""
        topic = self.topics.get(f"{market.spec.stream_symbol}@bookTicker")
        return topic if topic and topic.stream.kind is StreamKind.BOOK_TICKER else None
