"""Port: the stream of funding events of each contract."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import Symbol


class FundingEvent(Struct, frozen=True, kw_only=True, gc=False):
    """An entry of `mkt:events:funding:<SYMBOL>`; empty fields are not known, or do not apply.

    Attributes:
        ts: Of an estimate the exchange's event time, of a realised rate the time of the
            settlement; epoch ms.
        rate_est, rate_real: Exact decimal texts. An estimate has no *rate_real*.
        event_id: The same for the same event; consumers drop one that they have seen.
    """

    ts: int
    symbol: Symbol
    rate_est: str
    rate_real: str = ""
    amount_usdt: str = ""
    funding_time: int
    rate_type: str
    event_id: str


class UnwrittenEvents(Struct, frozen=True):
    """*cause* is that of one of *events*, in the words of the stream store."""

    events: tuple[FundingEvent, ...] = ()
    cause: str = ""


class FundingEvents(Protocol):
    async def publish(self, events: Sequence[FundingEvent]) -> None:
        """Append each to its stream, in order for each symbol. A call that failed may be repeated;
        entries may then be there twice.

        Raises:
            PublisherRefusedError: A stream refuses its entry; all others are written.
            PublisherUnavailableError, ConfigurationError: Some may be written.
        """
        ...

    async def try_publish(self, events: Sequence[FundingEvent]) -> UnwrittenEvents:
        """As `publish`, and says what may be repeated alone: a stream that cannot be written does
        not keep the others from being written. Never raises.
        """
        ...
