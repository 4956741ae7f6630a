"""Gaps of the funding history as the HTTP API shows them."""

from collections import Counter
from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.funding.find_gaps import GapsFound
from chimera_s1.app.capabilities.funding.web.schemas import DisputeView, SymbolField
from chimera_s1.domain.funding.coverage import FundingGap, GapKind


class GapView(Struct, frozen=True, kw_only=True):
    """A part of a contract's funding history that is missing; both times are included."""

    symbol: SymbolField
    kind: Annotated[
        GapKind,
        Meta(
            description="`not_verified`: not read yet, or a read failed; `not_published`: the "
            "exchange's own history lacks an expected settlement.",
            examples=["not_verified"],
        ),
    ]
    start: Annotated[int, Meta(description="Epoch ms.", examples=[1795881600000])]
    end: Annotated[
        int,
        Meta(
            description="Epoch ms; equal to `start` for one settlement.", examples=[1795910400000]
        ),
    ]

    @classmethod
    def of(cls, gap: FundingGap) -> Self:
        return cls(symbol=gap.symbol, kind=gap.kind, start=gap.start, end=gap.end)


class GapListView(Struct, frozen=True, kw_only=True):
    """What is missing of the funding history. What the exchange has not published yet is no gap."""

    searched_from: Annotated[
        int,
        Meta(
            description="Nothing may be missing from then on, or from a contract's listing; epoch "
            "ms.",
            examples=[1788134400000],
        ),
    ]
    verified_through: Annotated[
        int | None,
        Meta(
            description="Up to then every contract that trades is verified, epoch ms; null: "
            "nothing is verified, so gaps are not known.",
            examples=[1795910400000],
        ),
    ]
    contracts: Annotated[int, Meta(description="How many are verified.", examples=[930])]
    not_verified: Annotated[int, Meta(description="How many gaps of this kind.", examples=[1])]
    not_published: Annotated[int, Meta(description="How many gaps of this kind.", examples=[0])]
    disputed: Annotated[
        int, Meta(description="How many settlements are disputed; they are no gaps.", examples=[1])
    ]
    gaps: tuple[GapView, ...]
    disputes: tuple[DisputeView, ...]

    @classmethod
    def of(cls, found: GapsFound, limit: int) -> Self:
        kinds = Counter(each.kind for each in found.gaps)
        return cls(
            searched_from=found.searched_from,
            verified_through=found.verified_through,
            contracts=found.contracts,
            not_verified=kinds[GapKind.NOT_VERIFIED],
            not_published=kinds[GapKind.NOT_PUBLISHED],
            disputed=len(found.disputes),
            gaps=tuple(map(GapView.of, found.gaps[:limit])),
            disputes=tuple(map(DisputeView.of, found.disputes[:limit])),
        )
