"""Port: quotes onto their streams."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.market.quote import Quote


class PublishReport(Struct, frozen=True):
    """What became of a batch.

    Attributes:
        published: Entries acknowledged.

        unpublished: Quotes of this or an earlier call that are not, or may not be, on their
            stream; the caller offers again what nothing newer has replaced.

        cause: Why, for people; empty where everything was acknowledged.
    """

    published: int
    unpublished: tuple[Quote, ...] = ()
    cause: str = ""


class PublisherCounters(Struct):
    """What a publisher has counted since it was made; only the publisher writes.

    Attributes:
        published: Entries acknowledged.

        batches: Calls with at least one quote.

        moved_replies: MOVED replies followed.

        ask_replies: ASK replies followed.

        busy_replies: TRYAGAIN, CLUSTERDOWN and LOADING replies.

        failures: Batches (or nodes of a batch) not acknowledged.
    """

    published: int = 0
    batches: int = 0
    moved_replies: int = 0
    ask_replies: int = 0
    busy_replies: int = 0
    failures: int = 0


class QuotePublisher(Protocol):
    """Appends quotes to `mkt:events:<venue>:<SYMBOL>`, each stream bounded."""

    @property
    def counters(self) -> PublisherCounters:
        """Live counters; read, never written, by others."""
        ...

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        """Append each quote to its stream, in order within a stream.

        Returns within a bounded time whatever the store does. An entry may be appended twice
        when its acknowledgement was lost; never out of order within a stream.
        """
        ...

    async def ping(self) -> str:
        """Ask the store whether it accepts writes: empty, or what is wrong, for people."""
        ...
