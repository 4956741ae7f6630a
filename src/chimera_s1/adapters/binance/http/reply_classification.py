"""What a reply to a transfer says about the money: an allow-list of certainty.

Only what is on the list is definite; everything else is `ReplyUnknown`, and is looked up in the
histories instead of being sent again.

| reply | class | where from |
|---|---|---|
| 200 with a whole `tranId` and no `code` | accepted | wallet "User Universal Transfer" |
| any status with -1000 -1001 -1006 -1007 -4115 -5012 | unknown | SPOT errors.md; "5XX ... execution status is UNKNOWN"; -5012 "transfer is in pending"; -4115: the id was used, so a first one exists |
| 429, 418; any 4xx with -1003 -1015 | turned away | SPOT rest-api.md "LIMITS": the limiter did not pass it on |
| 4xx with -1021 | turned away, clock in doubt | SPOT rest-api.md "Timing security": outside of recvWindow |
| 4xx with -1008 | turned away | SPOT errors.md: the server is busy with other requests |
| 4xx with -1002 -1022 -2014 -2015 | refused: forbidden | SPOT errors.md: key, permission or signature |
| 4xx with -11xx | refused | SPOT and USD-M errors "Request issues": a parameter is wrong |
| 4xx with -2018 -2019 -4050 -4051 | refused | USD-M errors: balance insufficient |
| 4xx with -3020 -3041 -5011 -5013 | refused | wallet, as ccxt's table lists them: more than there is, no futures account |
| 4xx with -4114 | refused | USD-M errors: our id is too long |
| every 5xx, 408, 403 of the firewall, 2xx, 3xx, unknown or positive code, no JSON | unknown | nowhere documented as definite |

USD-M calls 503 "Service Unavailable.", -1001 and -1008 certain failures. The transfer is a request to
the spot host, where the state after any 5xx is unknown, so for us they are unknown as well. 408 is
the backend's time-out whatever else it says.
"""  # noqa: E501 (a table row is a line)

import re
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import MASK
from chimera_s1.adapters.binance.http.weight_budget import RATE_LIMITED_STATUSES, retry_after_s
from chimera_s1.domain.ports.treasury_gateway import (
    ReplyAccepted,
    ReplyNotProcessed,
    ReplyRefused,
    ReplyUnknown,
    SubmissionReply,
)
from chimera_s1.domain.treasury.events import FailureReason

AMBIGUOUS_CODES = frozenset({-1000, -1001, -1006, -1007, -4115, -5012})
OVERLOADED_CODE = -1008
RATE_LIMITED_CODES = frozenset({-1003, -1015})
TIMESTAMP_CODE = -1021
FORBIDDEN_CODES = frozenset({-1002, -1022, -2014, -2015})
REFUSED_CODES = frozenset(
    {*range(-1199, -1099), -2018, -2019, -3020, -3041, -4050, -4051, -4114, -5011, -5013}
)

_TRAN_ID_MAX = 2**63 - 1
_TEXT_CHARS_MAX = 200
_SCANNED_CHARS_MAX = 4_096
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_QUERY = re.compile(r"\?\S+|\b\w+=[^\s&]*(?:&\w+=[^\s&]*)+")


class _ReplyBody(Struct, frozen=True):
    tranId: int | None = None  # noqa: N815 (Binance's name)
    code: int | None = None
    msg: str | None = None


def classify_transfer_reply(
    status: int, body: bytes, headers: Mapping[str, str]
) -> SubmissionReply:
    """What the complete reply to a transfer says.

    Args:
        status: HTTP status.

        body: As it came, decompressed.

        headers: Looked up regardless of case by their own type, like httpx2's.
    """
    decoded = _decode_body(body)
    code = None if decoded is None else decoded.code
    cause = reply_text(status, body)
    if code in AMBIGUOUS_CODES:
        return ReplyUnknown(cause)
    if status == HTTPStatus.OK:
        return _classify_success(decoded, cause)
    if status in RATE_LIMITED_STATUSES or (_is_client_error(status) and code in RATE_LIMITED_CODES):
        return ReplyNotProcessed(cause, retry_after_s(headers) * 1000)
    if not _is_client_error(status) or code is None:
        return ReplyUnknown(cause)
    return _classify_client_error(code, cause, headers)


def reply_text(status: int, body: bytes) -> str:
    """The reply in a few words for people: status, code and message; no key, no signature, no
    query.
    """
    said = _decode_body(body)
    if said is None:
        return f"{status} without a readable answer"
    code = "" if said.code is None else f" {said.code}"
    return f"{status}{code} {sanitize(said.msg or '')}".rstrip()


def sanitize(text: str) -> str:
    """*text* on one line and cut to a sane length, without what may be a key, a signature or a
    query.
    """
    line = " ".join(
        "".join(c if c.isprintable() else " " for c in text[:_SCANNED_CHARS_MAX]).split()
    )
    if len(text) > _SCANNED_CHARS_MAX:
        # Half a key is not recognised as one.
        line = line.rpartition(" ")[0]
    line = _LONG_WORD.sub(MASK, _QUERY.sub(MASK, line))
    return line if len(line) <= _TEXT_CHARS_MAX else f"{line[:_TEXT_CHARS_MAX]}..."


def _classify_success(said: _ReplyBody | None, cause: str) -> SubmissionReply:
    if said is None or said.tranId is None or said.code is not None:
        return ReplyUnknown(cause)
    return (
        ReplyAccepted(str(said.tranId)) if 0 < said.tranId <= _TRAN_ID_MAX else ReplyUnknown(cause)
    )


def _classify_client_error(code: int, cause: str, headers: Mapping[str, str]) -> SubmissionReply:
    if code == TIMESTAMP_CODE:
        return ReplyNotProcessed(cause, 0, clock_suspect=True)
    if code == OVERLOADED_CODE:
        return ReplyNotProcessed(cause, retry_after_s(headers, 0) * 1000)
    if code in FORBIDDEN_CODES:
        return ReplyRefused(FailureReason.FORBIDDEN, cause)
    if code in REFUSED_CODES:
        return ReplyRefused(FailureReason.REFUSED, cause)
    return ReplyUnknown(cause)


def _is_client_error(status: int) -> bool:
    in_range = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return in_range and status != HTTPStatus.REQUEST_TIMEOUT


def _decode_body(body: bytes) -> _ReplyBody | None:
    try:
        return msgspec.json.decode(body, type=_ReplyBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
