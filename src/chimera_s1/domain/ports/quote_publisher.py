"""Port: publishing quotes to their streams."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.market.quote import Quote


class PublishReport(Struct, frozen=True):
    """The result of a batch.

    Attributes:
        published: Number of acknowledged entries.
        unpublished: Quotes of this or an earlier call that are not, or may not be, on their stream.
            The caller publishes them again unless it has newer ones.
        cause: For people; empty if everything was acknowledged.
    """

    published: int
    unpublished: tuple[Quote, ...] = ()
    cause: str = ""


class PublisherCounters(Struct):
    """Totals since the publisher was created; only the publisher writes them.

    Attributes:
        published: Acknowledged entries.
        batches: Calls with at least one quote.
        moved_replies, ask_replies: Redirections followed.
        busy_replies: TRYAGAIN, CLUSTERDOWN and LOADING replies.
        failures: Batches, or parts of a batch for one node, not acknowledged.
    """

    published: int = 0
    batches: int = 0
    moved_replies: int = 0
    ask_replies: int = 0
    busy_replies: int = 0
    failures: int = 0


class QuotePublisher(Protocol):
    """Appends quotes to `mkt:events:<venue>:<SYMBOL>`; each stream is trimmed."""

    @property
    def counters(self) -> PublisherCounters:
        """Live counters, read-only for callers."""
        ...

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        """Append each quote to its stream, in order within a stream.

        Returns within a bounded time whatever the store does. A lost acknowledgement may lead to a
        duplicate entry, never to a wrong order within a stream.
        """
        ...

    async def ping(self) -> str:
        """Check that the store accepts writes; the problem as text, empty if there is none."""
        ...
