"""The streams of one venue: connections, subscriptions, and the delivery of payloads."""

from collections import deque
from http import HTTPStatus

import anyio
from picows import WSUpgradeResponse

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.faults.limit_replies import limit_reply
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.targets import StreamTarget, UserStreamTarget
from chimera_s1.adapters.simulator.limits.limit_reply import LimitReply
from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import Bucket, Charge
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.not_simulated import Feature, NotSimulated
from chimera_s1.adapters.simulator.streams.connection import Connection
from chimera_s1.adapters.simulator.streams.control_messages import SubscriptionChanges
from chimera_s1.adapters.simulator.streams.frame_faults import (
    Frame,
    apply_frame_fault,
    is_applicable,
)
from chimera_s1.adapters.simulator.streams.payloads import BookTickerEncoder
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.silent_streams import reason_for_silence
from chimera_s1.adapters.simulator.streams.stream_names import (
    CONTRACT_INFO,
    StreamKind,
    StreamName,
    StreamRoute,
    is_listen_key,
    parse_stream,
)
from chimera_s1.adapters.simulator.streams.topic import FRAMES_KEPT, SentFrame, Topic
from chimera_s1.domain.identifiers import Venue

ALL_DIALS = "all"
"""The address of a dial is not known before it is accepted, so all addresses count as one."""

_DIALS = {Venue.SPOT: Bucket.SPOT_DIALS, Venue.PERP: Bucket.FUTURES_DIALS}


class StreamHub:
    """Implements `SessionOwner` for one venue.

    Attributes:
        frames_sent: Since the start, over all connections.
        subscription_version: Grows whenever subscriptions or listings change.
    """

    def __init__(
        self,
        venue: Venue,
        market: Market,
        clock: ScaledClock,
        faults: FaultRegistry,
        subscribed: anyio.Event,
        *,
        limits: RateLimits,
        not_simulated: NotSimulated,
    ) -> None:
        """Create the hub of *venue*.

        Args:
            venue: Venue of the streams.
            market: The books of both venues.
            clock: The exchange's.
            faults: Those of both venues.
            subscribed: Set by the first subscription that delivers.
            limits: Counts the dials.
            not_simulated: Gets the subscriptions that never deliver.
        """
        self.venue = venue
        self.market = market
        self.clock = clock
        self.sessions: dict[Session, None] = {}
        self._user_connections: dict[Connection, None] = {}
        self.topics: dict[str, Topic] = {}
        self.frames_sent = 0
        self.subscription_version = 0
        self.connections_opened = 0
        self._faults = faults
        self._subscribed = subscribed
        self._limits = limits
        self._not_simulated = not_simulated
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
        """Bytes written that the clients' networks have not taken yet."""
        return sum(each.unread_bytes for each in self.connections)

    def recent_frames(self, symbol: str) -> list[SentFrame]:
        """The last FRAMES_KEPT frames sent for *symbol*, oldest first."""
        return list(self._recent.get(symbol, ()))

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All open ones: for market data and for user streams."""
        return (*self.sessions, *self._user_connections)

    def add(self, session: Session) -> None:
        self.sessions[session] = None
        self._number(session)

    def _number(self, connection: Connection) -> None:
        self.connections_opened += 1
        connection.number = self.connections_opened

    def add_user_connection(self, connection: Connection) -> None:
        """One that has no market data."""
        self._user_connections[connection] = None
        self._number(connection)

    def remove_user_connection(self, connection: Connection) -> None:
        self._user_connections.pop(connection, None)

    def remove(self, session: Session) -> None:
        if session in self.sessions:
            del self.sessions[session]
            self._skipped_before += session.skipped
            self._detach(session, tuple(session.subscriptions))

    def change_subscriptions(self, session: Session, changes: SubscriptionChanges) -> None:
        self._detach(session, changes.unsubscribe)
        for name in changes.unsubscribe:
            session.subscriptions.pop(name, None)
        added = tuple(name for name in changes.subscribe if name not in session.subscriptions)
        session.subscriptions |= dict.fromkeys(added)
        self._attach(session, added)
        self._report_silent(added, session.path.route)
        if changes.combined is not None and changes.combined is not session.combined:
            every_name = tuple(session.subscriptions)
            self._detach(session, every_name)
            session.combined = changes.combined
            self._attach(session, every_name)

    def begin_batch(self) -> None:
        """Prepare a batch of frames: read the time, the backlogs and the armed faults once."""
        self._local_ms = self.clock.local_ms()
        self._faults_active = bool(self._reordered) or self._faults.has_frame_faults(self.venue)
        for session in tuple(self.sessions):
            session.check_backlog()

    def publish(self, topic: Topic, payload: bytes) -> None:
        """Queue *payload* for the listeners of *topic*, with the active faults applied."""
        if self._faults_active:
            for frame in self._with_faults(topic, payload):
                self._count(topic, frame.payload, topic.emit_frame(frame))
        else:
            self._count(topic, payload, topic.emit(payload))

    def _count(self, topic: Topic, payload: bytes, queued: int) -> None:
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
        """Send a batch of frames: one write per connection."""
        for session in tuple(self.sessions):
            session.delivered |= bool(session.outbox)
            session.flush()

    def handshake_refusal(self, *, user_stream: bool = False) -> WSUpgradeResponse | None:
        """The reply that refuses a new connection; None accepts it."""
        refusal = self._limits.spend((Charge(_DIALS[self.venue], 1),), ALL_DIALS)
        if refusal is not None:
            return _limited(refusal)
        kind = UserStreamTarget if user_stream else StreamTarget
        action = self._faults.take_handshake_fault(kind(self.venue))
        if action is None:
            return None
        if action.kind is FaultKind.REFUSE:
            refused: WSUpgradeResponse = WSUpgradeResponse.create_error_response(
                HTTPStatus(action.number), b"refused"
            )
            return refused
        return _limited(limit_reply(action, self.clock.now_ms()))

    def report_unknown_path(self, path: str) -> None:
        """A connection was refused, because it was opened on *path*."""
        self._not_simulated.record(self.venue, Feature.CONNECTION, path, "answered 404")

    def listings_changed(
        self, market: SymbolMarket | None = None, contract_info: bytes | None = None
    ) -> None:
        """Symbols were listed, or *market* changed; *contract_info* goes to `!contractInfo`."""
        self.subscription_version += 1
        for topic in self.topics.values():
            if market is not None and topic.market is market:
                topic.encoder = BookTickerEncoder(market)
        listener = self.topics.get(CONTRACT_INFO)
        if listener is not None and contract_info is not None:
            self.begin_batch()
            self.publish(listener, contract_info)
            self.end_batch()

    def _attach(self, session: Session, names: tuple[str, ...]) -> None:
        for name in names:
            topic = self._topic(name, session.path.route)
            if topic is not None:
                topic.attach(session)
                self._subscribed.set()
        self.subscription_version += 1

    def _report_silent(self, names: tuple[str, ...], route: StreamRoute) -> None:
        """Report those of *names* that Binance would acknowledge, list and never deliver."""
        for name in names:
            if route is StreamRoute.PRIVATE and is_listen_key(name):
                continue
            if self._topic(name, route) is None:
                stream = parse_stream(self.venue, name)
                listed = stream is not None and self._is_listed(stream)
                reason = reason_for_silence(self.venue, name, stream, listed=listed)
                self._not_simulated.record(self.venue, Feature.STREAM, name, reason)

    def _is_listed(self, stream: StreamName) -> bool:
        return not stream.symbol or bool(self.market.find_usd_margined(self.venue, stream.symbol))

    def _detach(self, session: Session, names: tuple[str, ...]) -> None:
        for name in names:
            topic = self.topics.get(name)
            if topic is None:
                continue
            topic.detach(session)
            if not topic.has_listeners:
                del self.topics[name]
                self._reordered.pop(topic, None)
        self.subscription_version += 1

    def _topic(self, name: str, route: StreamRoute) -> Topic | None:
        """The topic of *name* for connections on *route*; None if it never delivers there."""
        topic = self.topics.get(name)
        if topic is not None:
            return topic if topic.stream.route is route else None
        stream = parse_stream(self.venue, name)
        if stream is None or stream.route is not route or not self._is_listed(stream):
            return None
        return self._new_topic(name, stream)

    def _new_topic(self, name: str, stream: StreamName) -> Topic:
        market = self.market.find_usd_margined(self.venue, stream.symbol)
        topic = self.topics[name] = Topic(name, stream, market, phase=self.subscription_version)
        if market is not None:
            symbol = market.spec.symbol
            topic.recent = self._recent.setdefault(symbol, deque(maxlen=FRAMES_KEPT))
        return topic

    def book_topics(self) -> list[Topic]:
        """Topics that make books move."""
        return [topic for topic in self.topics.values() if topic.stream.follows_book]

    def book_ticker_topic(self, market: SymbolMarket) -> Topic | None:
        """The book ticker topic of *market*, if it has listeners."""
        topic = self.topics.get(f"{market.spec.symbol.lower()}@bookTicker")
        return topic if topic and topic.stream.kind is StreamKind.BOOK_TICKER else None


def _limited(refusal: LimitReply) -> WSUpgradeResponse:
    limited: WSUpgradeResponse = WSUpgradeResponse.create_error_response(
        HTTPStatus(refusal.status), refusal.body, refusal.headers
    )
    return limited
