"""What the one who asked for a transfer is told."""

from enum import StrEnum
from typing import Annotated, Self, assert_never

from msgspec import Meta, Struct

from chimera_s1.app.web.schemas import ProblemView
from chimera_s1.domain.treasury.transfer import Transfer, TransferStatus


class Result(StrEnum):
    """What became of a transfer, for the one who asked for it."""

    OK = "OK"
    FAIL = "FAIL"
    PENDING = "PENDING"


def result_of(status: TransferStatus) -> Result:
    """*status* as a result."""
    match status:
        case TransferStatus.DONE:
            return Result.OK
        case TransferStatus.FAILED:
            return Result.FAIL
        case TransferStatus.PENDING:
            return Result.PENDING
        case _:
            assert_never(status)


TransferKey = Annotated[
    str,
    Meta(
        description="The key it was asked for with.",
        examples=["7f3f0c1e-4a53-4a3c-9d4f-3a1f6f0e2b11"],
    ),
]
ResultField = Annotated[
    Result,
    Meta(description="OK: moved. FAIL: not moved, final. PENDING: ask again.", examples=["OK"]),
]


class TransferResponse(Struct, frozen=True, omit_defaults=True):
    """What became of a transfer by now."""

    transfer_id: TransferKey
    result: ResultField
    message: Annotated[
        str, Meta(description="Why; left out where there is nothing to say.", examples=[""])
    ] = ""

    @classmethod
    def of(cls, transfer: Transfer) -> Self:
        """*transfer* for the one who asked for it."""
        return cls(transfer.transfer_id, result_of(transfer.status), transfer.public_message)


class TransferProblemView(ProblemView, frozen=True, kw_only=True, omit_defaults=True):
    """A problem with a transfer that was asked for; it reads as a `TransferResponse` as well."""

    transfer_id: Annotated[
        str, Meta(description="The key, where the request named one that can be.")
    ] = ""
    result: Annotated[
        Result,
        Meta(
            description="FAIL: nothing was accepted. PENDING, with some 5xx: it may have been; the "
            "same request with the same key tells.",
            examples=["FAIL"],
        ),
    ]
    message: Annotated[str, Meta(description="As `detail`.")]
