"""What a reply to a transfer says about the money (table: `http.reply_classification`).

A transfer has moved only where a 200 holds a whole `tranId` and no `code` (wallet "User Universal
Transfer"). What is not definite is `ReplyUnknown`: looked up in the histories, never sent again.
"""

from collections.abc import Mapping
from typing import assert_never

from chimera_s1.adapters.binance.http.reply_classification import (
    ReplyBody,
    ReplyCategory,
    classify_reply,
    decode_body,
)
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
    SubmissionReply,
)
from chimera_s1.domain.treasury.events import FailureReason

_TRAN_ID_MAX = 2**63 - 1


class _TransferBody(ReplyBody, frozen=True):
    tranId: int | None = None  # noqa: N815 (Binance's name)


def classify_transfer_reply(
    status: int, body: bytes, headers: Mapping[str, str]
) -> SubmissionReply:
    """Of a complete reply, decompressed; *headers* must ignore case, like httpx2's."""
    decoded = decode_body(body, _TransferBody)
    reply = classify_reply(status, decoded, headers)
    match reply.category:
        case ReplyCategory.SUCCEEDED:
            return _accepted(decoded) or ReplyUnknown(reply.summary)
        case ReplyCategory.RATE_LIMITED:
            return ReplyNotProcessed(reply.summary, reply.retry_after_ms)
        case ReplyCategory.CLOCK_SUSPECT:
            return ReplyNotProcessed(reply.summary, 0, clock_suspect=True)
        case ReplyCategory.FORBIDDEN:
            return ReplyRefused(FailureReason.FORBIDDEN, reply.summary)
        case ReplyCategory.REFUSED:
            return ReplyRefused(FailureReason.REFUSED, reply.summary)
        case ReplyCategory.OVERLOADED | ReplyCategory.UNKNOWN:
            return ReplyUnknown(reply.summary)
        case _:
            assert_never(reply.category)


def _accepted(body: _TransferBody | None) -> ReplyAccepted | None:
    if body is None or body.tranId is None or body.code is not None:
        return None
    return ReplyAccepted(str(body.tranId)) if 0 < body.tranId <= _TRAN_ID_MAX else None
