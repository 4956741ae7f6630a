"""What an error reply of Binance says about the request: an allow-list of certainty.

Only what is on the list is definite; everything else is `UNKNOWN`, and the request may have been
executed.

| reply | category | source |
|---|---|---|
| any status with -1000 -1001 -1006 -1007 -4115 -5012 | UNKNOWN | SPOT errors.md; "5XX ... execution status is UNKNOWN"; -5012 "transfer is in pending"; -4115: the id was used, so a first request exists |
| 200 with another code or none | SUCCEEDED | the caller still has to check the body |
| 429, 418; any 4xx with -1003 -1015 | RATE_LIMITED | SPOT rest-api.md "LIMITS": the limiter did not pass it on |
| 4xx with -1021 | CLOCK_SUSPECT | SPOT rest-api.md "Timing security": outside of recvWindow |
| 4xx with -1008 | OVERLOADED | SPOT errors.md: the server is busy with other requests |
| 4xx with -1002 -1022 -2014 -2015 | FORBIDDEN | SPOT errors.md: key, permission or signature |
| 4xx with -11xx | REFUSED | SPOT and USD-M errors "Request issues": a parameter is wrong |
| 4xx with -2018 -2019 -4050 -4051 | REFUSED | USD-M errors: balance insufficient |
| 4xx with -3020 -3041 -5011 -5013 | REFUSED | wallet, as ccxt's table lists them: more than there is, no futures account |
| 4xx with -4114 | REFUSED | USD-M errors: our id is too long |
| every 5xx, 408, 403 of the firewall, other 2xx, 3xx, unknown or positive code, no JSON | UNKNOWN | nowhere documented as definite |

USD-M calls 503 "Service Unavailable.", -1001 and -1008 certain failures. On the spot host, where
transfers go, the state after any 5xx is unknown, so they are unknown here as well. 408 is the
backend's time-out whatever its code.
"""  # noqa: E501 (a table row is a line)

import re
from collections.abc import Mapping
from enum import Enum, auto
from http import HTTPStatus
from typing import TypeVar

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import MASK
from chimera_s1.adapters.binance.http.weight_budget import RATE_LIMITED_STATUSES, retry_after_s

AMBIGUOUS_CODES = frozenset({-1000, -1001, -1006, -1007, -4115, -5012})
OVERLOADED_CODE = -1008
RATE_LIMITED_CODES = frozenset({-1003, -1015})
TIMESTAMP_CODE = -1021
FORBIDDEN_CODES = frozenset({-1002, -1022, -2014, -2015})
REFUSED_CODES = frozenset(
    {*range(-1199, -1099), -2018, -2019, -3020, -3041, -4050, -4051, -4114, -5011, -5013}
)

_TEXT_CHARS_MAX = 200
_SCANNED_CHARS_MAX = 4_096
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_QUERY = re.compile(r"\?\S+|\b\w+=[^\s&]*(?:&\w+=[^\s&]*)+")


class ReplyCategory(Enum):
    """See the table above; all but SUCCEEDED and UNKNOWN: certainly not executed."""

    SUCCEEDED = auto()
    RATE_LIMITED = auto()
    OVERLOADED = auto()
    CLOCK_SUSPECT = auto()
    FORBIDDEN = auto()
    REFUSED = auto()
    UNKNOWN = auto()


class ClassifiedReply(Struct, frozen=True):
    """Attributes:
    summary: Status, code and message; shows no key, signature or query.

    retry_after_ms: How long the host wants no requests.
    """

    category: ReplyCategory
    summary: str
    retry_after_ms: int = 0


class ReplyBody(Struct, frozen=True):
    """The fields of an error; a subclass adds those of a success."""

    code: int | None = None
    msg: str | None = None


BodyT = TypeVar("BodyT", bound=ReplyBody)


def decode_body(body: bytes, kind: type[BodyT]) -> BodyT | None:
    """*body* as *kind*; None where it is something else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def classify_reply(
    status: int, body: ReplyBody | None, headers: Mapping[str, str]
) -> ClassifiedReply:
    """The category of a complete reply; *headers* must ignore case, like httpx2's."""
    code = None if body is None else body.code
    category = _category(status, code)
    return ClassifiedReply(category, _summary(status, body), _wait_ms(category, headers))


def sanitize(text: str) -> str:
    """*text* on one line, cut to 200 characters, without what may be a key, signature or query."""
    line = " ".join(
        "".join(c if c.isprintable() else " " for c in text[:_SCANNED_CHARS_MAX]).split()
    )
    if len(text) > _SCANNED_CHARS_MAX:
        # Half a key is not recognised as one.
        line = line.rpartition(" ")[0]
    line = _LONG_WORD.sub(MASK, _QUERY.sub(MASK, line))
    return line if len(line) <= _TEXT_CHARS_MAX else f"{line[:_TEXT_CHARS_MAX]}..."


def _category(status: int, code: int | None) -> ReplyCategory:
    if code in AMBIGUOUS_CODES:
        return ReplyCategory.UNKNOWN
    if status == HTTPStatus.OK:
        return ReplyCategory.SUCCEEDED
    if status in RATE_LIMITED_STATUSES:
        return ReplyCategory.RATE_LIMITED
    if is_client_error(status) and code is not None:
        return _category_of_code(code)
    return ReplyCategory.UNKNOWN


def _category_of_code(code: int) -> ReplyCategory:
    if code in RATE_LIMITED_CODES:
        return ReplyCategory.RATE_LIMITED
    if code == TIMESTAMP_CODE:
        return ReplyCategory.CLOCK_SUSPECT
    if code == OVERLOADED_CODE:
        return ReplyCategory.OVERLOADED
    if code in FORBIDDEN_CODES:
        return ReplyCategory.FORBIDDEN
    return ReplyCategory.REFUSED if code in REFUSED_CODES else ReplyCategory.UNKNOWN


def is_client_error(status: int) -> bool:
    """4xx but 408, the time-out of the backend."""
    in_range = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return in_range and status != HTTPStatus.REQUEST_TIMEOUT


def _wait_ms(category: ReplyCategory, headers: Mapping[str, str]) -> int:
    if category is ReplyCategory.RATE_LIMITED:
        return retry_after_s(headers) * 1000
    # An overload is not a ban: without a header the caller's own back-off counts.
    return retry_after_s(headers, 0) * 1000 if category is ReplyCategory.OVERLOADED else 0


def _summary(status: int, body: ReplyBody | None) -> str:
    if body is None:
        return f"{status} with an unreadable body"
    code = "" if body.code is None else f" {body.code}"
    return f"{status}{code} {sanitize(body.msg or '')}".rstrip()
