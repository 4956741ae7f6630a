"""What an account paid or received, as the exchange's income history says it."""

from msgspec import Struct

from chimera_s1.domain.funding.record import IncomePart
from chimera_s1.domain.identifiers import Symbol


class IncomeRow(Struct, frozen=True, gc=False):
    """Attributes:
    rate_type: Of the settlement: Regular for FUNDING_FEE, Special for SPECIAL_FUNDING_FEE.
    time: Epoch ms; some ms away from the settlement's.
    """

    symbol: Symbol
    rate_type: str
    time: int
    part: IncomePart
