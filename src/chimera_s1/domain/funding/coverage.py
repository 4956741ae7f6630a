"""Which part of the exchange's history is proven to be stored."""

from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.identifiers import Symbol


class RateCoverage(Struct, frozen=True, kw_only=True, gc=False):
    """Every published settlement of *symbol* between both times, both included, is stored."""

    symbol: Symbol
    verified_from: int
    verified_through: int

    @property
    def span(self) -> Window:
        return Window(self.verified_from, self.verified_through)


class AmountCoverage(Struct, frozen=True, kw_only=True, gc=False):
    """As `RateCoverage`, for what *account* paid and received in all symbols."""

    account: str
    verified_from: int
    verified_through: int

    @property
    def span(self) -> Window:
        return Window(self.verified_from, self.verified_through)


class GapKind(StrEnum):
    """Why a part of the history is missing."""

    NOT_VERIFIED = "not_verified"  # not read yet, or a read failed
    NOT_PUBLISHED = "not_published"  # the exchange's own history lacks an expected settlement


class FundingGap(Struct, frozen=True, kw_only=True, gc=False):
    """Attributes:
    start, end: Epoch ms, both included; equal for one missing settlement.
    """

    symbol: Symbol
    kind: GapKind
    start: int
    end: int
