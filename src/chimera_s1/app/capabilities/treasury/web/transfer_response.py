"""Responses to a transfer request."""

from enum import StrEnum
from typing import Annotated, Self, assert_never

from msgspec import Meta, Struct

from chimera_s1.app.web.schemas import ProblemView
from chimera_s1.domain.identifiers import TRANSFER_ID_PATTERN
from chimera_s1.domain.treasury.transfer import Transfer, TransferStatus


class Result(StrEnum):
    """Result of a transfer. OK: moved. FAIL: not moved, final. PENDING: not final yet."""

    OK = "OK"
    FAIL = "FAIL"
    PENDING = "PENDING"


def result_of(status: TransferStatus) -> Result:
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
        description="The key of the transfer.",
        pattern=f"^{TRANSFER_ID_PATTERN}$",
        examples=["7f3f0c1e-4a53-4a3c-9d4f-3a1f6f0e2b11"],
    ),
]
ResultField = Annotated[
    Result,
    Meta(description="OK: moved. FAIL: not moved, final. PENDING: not final yet.", examples=["OK"]),
]


class TransferResponse(Struct, frozen=True, omit_defaults=True):
    """Current state of a transfer."""

    transfer_id: TransferKey
    result: ResultField
    message: Annotated[str, Meta(description="Reason; omitted if empty.", examples=[""])] = ""

    @classmethod
    def of(cls, transfer: Transfer) -> Self:
        return cls(transfer.transfer_id, result_of(transfer.status), transfer.public_message)


class TransferProblemView(ProblemView, frozen=True, kw_only=True, omit_defaults=True):
    """A problem with a transfer request; it has all fields of a `TransferResponse`."""

    transfer_id: Annotated[str, Meta(description="The key, if the request has a valid one.")] = ""
    result: Annotated[
        Result,
        Meta(
            description="FAIL: not accepted. PENDING, with some 5xx: it may have been accepted; "
            "retry with the same key.",
            examples=["FAIL"],
        ),
    ]
    message: Annotated[str, Meta(description="Same as `detail`.")]
