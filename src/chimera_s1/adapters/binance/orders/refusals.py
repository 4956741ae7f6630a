"""What a failed request about an order means, by venue: an allow-list.

A code that is not here is unknown: the order may exist, and is looked up. One code means different
things on the two venues: -2021 and -2022 say on futures that a stop would trigger, or that a
reduce-only order was rejected, and on spot how a cancel-and-replace ended. Sources of each code:
`docs/binance-error-codes.md`.

| reply | meaning |
|---|---|
| 429, 418; any 4xx with -1003 -1015 | turned away: a rate limit |
| 4xx with -1021 | turned away: the timestamp; the clock is suspect |
| futures: -1008 with 503 or 4xx; 4xx with -5028 | turned away: overloaded; too late at the engine |
| 4xx with a code below | refused |
| every other 5xx, 408, other 4xx, 3xx, unknown code, no code, no JSON | unknown |

Binance calls futures' 503 "Service Unavailable." and -1001 failures too. They stay unknown: the
first has no code, so it looks like the page of any proxy, and the second advises to look it up.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus

from chimera_s1.adapters.binance.http.reply_classification import (
    FORBIDDEN_CODES,
    OVERLOADED_CODE,
    PARAMETER_CODES,
    ReplyBody,
    ReplyCategory,
    classify_reply,
    is_client_error,
    sanitize,
)
from chimera_s1.adapters.binance.http.weight_budget import retry_after_s
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.order_gateway import (
    OutcomeUnknown,
    RequestRefused,
    RequestTurnedAway,
)

CANCEL_REJECTED_CODE = -2011
"""Of a cancel: the order never existed, or has ended; or it may not be cancelled."""

TOO_LATE_CODE = -5028

_SHARED: Mapping[int, RefusalReason] = {
    **dict.fromkeys(PARAMETER_CODES, RefusalReason.RULE),
    **dict.fromkeys(FORBIDDEN_CODES, RefusalReason.FORBIDDEN),
    **dict.fromkeys((-1014, -1020, -1116), RefusalReason.UNSUPPORTED),
    -1109: RefusalReason.FORBIDDEN,
    -2010: RefusalReason.OTHER,
}
REASONS: Mapping[Venue, Mapping[int, RefusalReason]] = {
    Venue.SPOT: {
        **_SHARED,
        **dict.fromkeys(
            (-1158, -1165, -1166, -1168, -1196, -1197, -1198, -1199, -2039), RefusalReason.RULE
        ),
    },
    Venue.PERP: {
        **_SHARED,
        **dict.fromkeys((-2018, -2019, -2024, -4050, -4051), RefusalReason.BALANCE),
        **dict.fromkeys((-2021, -4142), RefusalReason.WOULD_TRIGGER),
        **dict.fromkeys((-2022, -4118), RefusalReason.REDUCE_ONLY),
        **dict.fromkeys((-2025, -4045), RefusalReason.ORDERS_MAX),
        **dict.fromkeys((-2026, -4120, -5025), RefusalReason.UNSUPPORTED),
        **dict.fromkeys((-2027, -2028, -4001, -4002, -4003, -4004, -4005), RefusalReason.RULE),
        **dict.fromkeys((-4006, -4007, -4013, -4014, -4015, -4016, -4023), RefusalReason.RULE),
        **dict.fromkeys((-4024, -4055, -4060, -4061, -4062, -4131, -4136), RefusalReason.RULE),
        **dict.fromkeys((-4138, -4140, -4141, -4144, -4164, -4183, -4184), RefusalReason.RULE),
        **dict.fromkeys((-4210, -4211, -5024, -5029), RefusalReason.RULE),
        **dict.fromkeys((-4087, -4088, -4109, -4192, -4202), RefusalReason.FORBIDDEN),
        **dict.fromkeys((-4400, -4401, -4402, -4403), RefusalReason.FORBIDDEN),
        -4116: RefusalReason.DUPLICATE_ID,
        -4411: RefusalReason.AGREEMENT,
        -5021: RefusalReason.OTHER,
        -5022: RefusalReason.POST_ONLY,
    },
}
_SPOT_TEXTS: tuple[tuple[re.Pattern[str], RefusalReason], ...] = (
    (re.compile("immediately match and take"), RefusalReason.POST_ONLY),
    (re.compile("would trigger immediately"), RefusalReason.WOULD_TRIGGER),
    (re.compile("Duplicate order sent"), RefusalReason.DUPLICATE_ID),
    (re.compile("insufficient balance"), RefusalReason.BALANCE),
    (re.compile("MAX_NUM_"), RefusalReason.ORDERS_MAX),
    (re.compile("relationship of the prices"), RefusalReason.RULE),
    (re.compile("not supported for this symbol"), RefusalReason.UNSUPPORTED),
    (
        re.compile("not permitted|restricted for|may not place|is not enabled|is disabled"),
        RefusalReason.FORBIDDEN,
    ),
)
_TEXT_CODES = frozenset({-1013, -2010})
"""Of which only the text says what was wrong: SPOT errors.md, "Messages for -1010, -2010"."""

Failure = RequestRefused | RequestTurnedAway | OutcomeUnknown


def classify_failure(
    venue: Venue, status: int, body: ReplyBody | None, headers: Mapping[str, str]
) -> Failure:
    """Of a complete reply that does not accept the request; *headers* must ignore case."""
    reply = classify_reply(status, body, headers)
    if reply.category is ReplyCategory.RATE_LIMITED:
        return RequestTurnedAway(cause=reply.summary, retry_after_ms=reply.retry_after_ms)
    if reply.category is ReplyCategory.CLOCK_SUSPECT:
        return RequestTurnedAway(cause=reply.summary, clock_suspect=True)
    if _is_turned_away(venue, status, reply.code):
        wait_ms = retry_after_s(headers, 0) * 1000
        return RequestTurnedAway(cause=reply.summary, retry_after_ms=wait_ms)
    if body is None or reply.code is None or not is_client_error(status):
        return OutcomeUnknown(cause=reply.summary)
    text = sanitize(body.msg or "")
    reason = _reason(venue, reply.code, text)
    if reason is None:
        return OutcomeUnknown(cause=reply.summary)
    return RequestRefused(reason=reason, code=reply.code, message=text)


def _is_turned_away(venue: Venue, status: int, code: int | None) -> bool:
    if venue is Venue.SPOT:
        return False  # after a 5xx of the spot host the outcome is open, whatever its code
    if code == OVERLOADED_CODE:
        return is_client_error(status) or status == HTTPStatus.SERVICE_UNAVAILABLE
    return code == TOO_LATE_CODE and is_client_error(status)


def _reason(venue: Venue, code: int, text: str) -> RefusalReason | None:
    if venue is Venue.SPOT and code in _TEXT_CODES:
        for pattern, reason in _SPOT_TEXTS:
            if pattern.search(text):
                return reason
    return REASONS[venue].get(code)
