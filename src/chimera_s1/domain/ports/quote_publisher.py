"""Port: publishing quotes to their streams."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote


class PublishReport(Struct, frozen=True):
    """The result of a batch.

    Attributes:
        published: Number of acknowledged entries.
        unpublished: Quotes of this or an earlier call that are not, or may not be, on their stream.
            The caller publishes them again, with the same ids, unless it has newer ones.
        cause: For people; empty if everything was acknowledged.
        refused: Not written: their stream holds an id that is not below theirs, and this publisher
            has not sent theirs before. Another process writes this stream, or its id is ahead.
    """

    published: int
    unpublished: tuple[Quote, ...] = ()
    cause: str = ""
    refused: tuple[Quote, ...] = ()


class PublisherCounters(Struct):
    """Totals since the publisher was created; only the publisher writes them.

    Attributes:
        published: Acknowledged entries.
        already_there: Those of them that an earlier attempt without a reply had written.
        refused: Quotes whose id was not above the last one of their stream.
        batches: Calls with at least one quote.
        moved_replies, ask_replies: Redirections followed.
        busy_replies: TRYAGAIN, CLUSTERDOWN and LOADING replies.
        failures: Batches, or parts of a batch for one node, not acknowledged.
    """

    published: int = 0
    already_there: int = 0
    refused: int = 0
    batches: int = 0
    moved_replies: int = 0
    ask_replies: int = 0
    busy_replies: int = 0
    failures: int = 0


class QuotePublisher(Protocol):
    """Appends quotes to `mkt:events:<venue>:<SYMBOL>`, with the ids of `domain.market.stream_ids`;
    each stream is trimmed.

    Calls may overlap. A call waits for the nodes of its own quotes only, so that callers who split
    their quotes with `by_node` never wait for one node because of another. A publisher that cannot
    keep its nodes apart has one node: the whole store.
    """

    @property
    def counters(self) -> PublisherCounters:
        """Live counters, read-only for callers."""
        ...

    @property
    def routing_version(self) -> int:
        """Changes when a stream may have moved to another node."""
        ...

    def nodes(self) -> Collection[str]:
        """The names of the nodes that serve streams now; empty until they are known."""
        ...

    def by_node(self, quotes: Sequence[Quote]) -> Mapping[str, Sequence[Quote]]:
        """*quotes*, in order, by the node of their stream; '' where no node is known."""
        ...

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        """Append each quote to its stream, in order within a stream.

        Returns within a bounded time whatever the store does. A quote that is published again
        after a lost acknowledgement has the same id, so that it is written once.
        """
        ...

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        """*instruments* are not published any more: what a node said of their streams is over."""
        ...

    async def ping(self, node: str) -> str:
        """Check that *node* accepts writes; the problem as text, empty if there is none.

        Returns within a bounded time.
        """
        ...
