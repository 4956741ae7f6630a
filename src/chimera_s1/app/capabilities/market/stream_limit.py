"""How many event streams may be open, so that one actor cannot hold them all."""

from collections import Counter

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError


class TooManySubscribersError(ChimeraError):
    """The streams of all actors together reach their limit."""

    code = "quotes.too_many_subscribers"


class TooManyOfActorError(ChimeraError):
    """The streams of one actor reach their limit."""

    code = "quotes.too_many_of_actor"


class StreamLimit(Struct, frozen=True):
    """Attributes:
    total: Of all actors; each stream costs a dictionary entry per instrument and a write per
        batch.
    per_actor: Of one actor.
    reserved: Of *total*, kept for actors with fewer than *reserved_each* open streams.
    """

    total: int = 64
    per_actor: int = 16
    reserved: int = 16
    reserved_each: int = 2

    def check(self, open_streams: Counter[str], actor: str) -> None:
        """Return if *actor* may open one more.

        Raises:
            TooManyOfActorError, TooManySubscribersError: It may not.
        """
        own, opened = open_streams[actor], open_streams.total()
        if own >= self.per_actor:
            raise TooManyOfActorError(
                f"{actor} has {own} quote streams open, and one actor may have {self.per_actor}; "
                "close one, name several symbols in one stream, or read the Redis Streams "
                "mkt:events:*, which have no such limit"
            )
        limit = self.total if own < self.reserved_each else self.total - self.reserved
        if opened >= limit:
            raise TooManySubscribersError(
                f"{opened} quote streams are open, of {self.total}, {self.reserved} of which are "
                f"kept for actors with fewer than {self.reserved_each}; {actor} has {own}; close "
                "one, or read the Redis Streams mkt:events:*, which have no such limit"
            )
