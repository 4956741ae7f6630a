"""The running estimate of a coming settlement."""

from msgspec import Struct

from chimera_s1.domain.identifiers import Symbol


class FundingEstimate(Struct, frozen=True, gc=False):
    """From the mark price stream, whose `r` is an estimate and never a realised rate.

    Attributes:
        rate: The exchange's exact decimal text.
        funding_time: Of the settlement, epoch ms.
        event_time: The exchange's, epoch ms.
    """

    symbol: Symbol
    rate: str
    funding_time: int
    event_time: int
