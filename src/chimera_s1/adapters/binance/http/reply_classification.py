"""What an error reply of Binance says about the request: an allow-list of certainty.

Only what is on the list is definite; everything else is `UNKNOWN`, and the request may have been
executed. A code is on the list if two sources that are independent of each other name it as a
refusal; `docs/binance-error-codes.md` has them for each code.

| reply | category |
|---|---|
| any status with a code of `AMBIGUOUS_CODES` | UNKNOWN: Binance says that the outcome is open |
| 200 with another code or none | SUCCEEDED: the caller still has to check the body |
| 429, 418; any 4xx with -1003 -1015 | RATE_LIMITED: the limiter did not pass it on |
| 4xx with -1021 | CLOCK_SUSPECT: the timestamp was outside of recvWindow |
| 4xx with -1008 | OVERLOADED: only Binance calls it a failure, so a transfer is unknown |
| 4xx with a code of `FORBIDDEN_CODES` | FORBIDDEN: key, permission or signature |
| 4xx with a code of `REFUSED_CODES` | REFUSED: a parameter, a balance or a rule of the account |
| 4xx with -9000 and the text of `REFUSED_TEXTS` | REFUSED: the code alone has many meanings |
| every 5xx, 408, other 4xx, other 2xx, 3xx, unknown or positive code, no JSON | UNKNOWN |

USD-M calls 503 "Service Unavailable.", -1001 and -1008 certain failures. On the spot host, where
transfers go, the state after any 5xx is unknown, so they are unknown here as well. 408 is the
backend's time-out whatever its code.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import MASK
from chimera_s1.adapters.binance.http.weight_budget import RATE_LIMITED_STATUSES, retry_after_s
from chimera_s1.domain.identifiers import Venue

AMBIGUOUS_CODES = frozenset({-1000, -1001, -1006, -1007, -4115, -5012})
OVERLOADED_CODE = -1008
RATE_LIMITED_CODES = frozenset({-1003, -1015})
TIMESTAMP_CODE = -1021
UNKNOWN_SYMBOL_CODE = -1121
UNKNOWN_ORDER_CODES = {
    Venue.SPOT: frozenset({-2013, -2018, -2026}),
    Venue.PERP: frozenset({-2013}),
}
"""Of reads. -2018: of an order list on spot; on futures, the balance. -2026: archived on spot; on
futures, a type that cannot be reduce-only.
"""
FORBIDDEN_CODES = frozenset({-1002, -1022, -1099, -2014, -2015})
PARAMETER_CODES = frozenset(
    {
        *(-1013, -1020, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1109, -1110),
        *(-1111, -1113, -1114, -1115, -1116, -1117, -1118, -1119, -1120, -1121, -1122, -1125),
        *(-1126, -1127, -1128, -1130, -1131, -1134, -1135, -1136, -1139, -1145, -1151),
    }
)
_WALLET_CODES = frozenset(
    {
        *(-3002, -3005, -3018, -3019, -3020, -3023, -3041, -3043, -5002, -5003, -5007, -5011),
        *(-5013, -5021, -6016, -21002),
    }
)
_FUTURES_CODES = frozenset({-2018, -2019, -4050, -4051, -4109, -4114})
REFUSED_CODES = PARAMETER_CODES | _WALLET_CODES | _FUTURES_CODES
REFUSED_TEXTS = {-9000: re.compile(r"no ava(il|li)able amount", re.IGNORECASE)}

_TEXT_CHARS_MAX = 200
_SCANNED_CHARS_MAX = 4_096
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_QUERY = re.compile(r"\?\S+|\b\w+=[^\s&]*(?:&\w+=[^\s&]*)+")


class ReplyCategory(Enum):
    """See the table above; all but SUCCEEDED, OVERLOADED and UNKNOWN: certainly not executed."""

    SUCCEEDED = auto()
    RATE_LIMITED = auto()
    OVERLOADED = auto()
    CLOCK_SUSPECT = auto()
    FORBIDDEN = auto()
    REFUSED = auto()
    UNKNOWN = auto()


class ClassifiedReply(Struct, frozen=True):
    """Attributes:
    summary: Status, code and message, or where a redirect points; shows no key, signature or query.

    retry_after_ms: How long the host wants no requests.

    code: Binance's, of an error; None where it gives none.
    """

    category: ReplyCategory
    summary: str
    retry_after_ms: int = 0
    code: int | None = None


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
    category = _category(status, body)
    return ClassifiedReply(
        category,
        _summary(status, body, headers),
        _wait_ms(category, headers),
        None if body is None else body.code,
    )


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


def _category(status: int, body: ReplyBody | None) -> ReplyCategory:
    code = None if body is None else body.code
    if code in AMBIGUOUS_CODES:
        return ReplyCategory.UNKNOWN
    if status == HTTPStatus.OK:
        return ReplyCategory.SUCCEEDED
    if status in RATE_LIMITED_STATUSES:
        return ReplyCategory.RATE_LIMITED
    if is_client_error(status) and body is not None and code is not None:
        return _category_of_code(code, body.msg or "")
    return ReplyCategory.UNKNOWN


def _category_of_code(code: int, msg: str) -> ReplyCategory:
    if code in RATE_LIMITED_CODES:
        return ReplyCategory.RATE_LIMITED
    if code == TIMESTAMP_CODE:
        return ReplyCategory.CLOCK_SUSPECT
    if code == OVERLOADED_CODE:
        return ReplyCategory.OVERLOADED
    if code in FORBIDDEN_CODES:
        return ReplyCategory.FORBIDDEN
    refused = code in REFUSED_CODES or _is_refused_by_text(code, msg)
    return ReplyCategory.REFUSED if refused else ReplyCategory.UNKNOWN


def _is_refused_by_text(code: int, msg: str) -> bool:
    pattern = REFUSED_TEXTS.get(code)
    return pattern is not None and pattern.search(msg) is not None


def is_client_error(status: int) -> bool:
    """4xx but 408, the time-out of the backend."""
    in_range = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return in_range and status != HTTPStatus.REQUEST_TIMEOUT


def _wait_ms(category: ReplyCategory, headers: Mapping[str, str]) -> int:
    if category is ReplyCategory.RATE_LIMITED:
        return retry_after_s(headers) * 1000
    # An overload is not a ban: without a header the caller's own back-off counts.
    return retry_after_s(headers, 0) * 1000 if category is ReplyCategory.OVERLOADED else 0


def _summary(status: int, body: ReplyBody | None, headers: Mapping[str, str]) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = _redirect_target(headers.get("Location", ""))
        return f"{status}, a redirect to {target}, which is not followed: correct the REST URL"
    if body is None:
        return f"{status} with an unreadable body"
    code = "" if body.code is None else f" {body.code}"
    return f"{status}{code} {sanitize(body.msg or '')}".rstrip()


def _redirect_target(location: str) -> str:
    """The host of *location*; its path and query may repeat the request's signature."""
    if not location:
        return "nowhere (no Location header)"
    try:
        host = urlsplit(location).hostname
    except ValueError:
        return "an unreadable Location"
    return sanitize(host) if host else "another path of the same host"
