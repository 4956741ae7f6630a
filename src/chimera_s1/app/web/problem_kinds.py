"""The table of problems: every kind of error that the HTTP API answers with, and its status."""

from http import HTTPStatus

from msgspec import Struct

from chimera_s1.app.capabilities.market.quote_board import BoardClosedError, TooManySubscribersError
from chimera_s1.app.capabilities.treasury.accept_transfers import KeyReusedError
from chimera_s1.app.capabilities.treasury.resolve_transfers import TransferNotFoundError
from chimera_s1.app.capabilities.treasury.transfer_admission import (
    KillSwitchOnError,
    ModeHaltedError,
    ServiceStoppingError,
    TreasuryDisabledError,
)
from chimera_s1.app.capabilities.treasury.web.transfer_request import (
    KeyInvalidError,
    KeyMismatchError,
    KeyMissingError,
)
from chimera_s1.app.web.access.control_access import (
    AccessDisabledError,
    RateExceededError,
    ScopeMissingError,
    TokenRefusedError,
)
from chimera_s1.app.web.json_object import MediaTypeError, RequestInvalidError
from chimera_s1.domain.errors import (
    AppendUncertainError,
    ChimeraError,
    InvalidValueError,
    LedgerDamagedError,
    LedgerTooNewError,
    StoreUnavailableError,
)
from chimera_s1.domain.treasury.decision_context import TransferStateError
from chimera_s1.domain.treasury.limits import LimitRule


class QuoteUnknownError(ChimeraError):
    """No quote of that instrument was published since the start."""

    code = "quotes.unknown"


class ProblemKind(Struct, frozen=True):
    """One row of the table of problems.

    Attributes:
        code: For programs; never changes.

        status: HTTP status.

        title: For people.
    """

    code: str
    status: HTTPStatus
    title: str

    @property
    def is_retryable(self) -> bool:
        """The same request may succeed in a few seconds."""
        return self.status is HTTPStatus.SERVICE_UNAVAILABLE


REQUEST_INVALID = ProblemKind(
    RequestInvalidError.code, HTTPStatus.BAD_REQUEST, "The request cannot be understood"
)
NOT_FOUND = ProblemKind("http.not_found", HTTPStatus.NOT_FOUND, "There is no such path")
METHOD_NOT_ALLOWED = ProblemKind(
    "http.method_not_allowed",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "This path does not take this method",
)
REQUEST_TOO_LARGE = ProblemKind(
    "request.too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than this takes"
)
MEDIA_TYPE = ProblemKind(
    MediaTypeError.code, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is not declared as JSON"
)
NOT_READY = ProblemKind(
    "service.not_ready",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Something the service cannot work without is RED",
)
INTERNAL = ProblemKind(
    "internal", HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed; its log says more"
)
VALUE_INVALID = ProblemKind(
    InvalidValueError.code, HTTPStatus.BAD_REQUEST, "A value cannot be what it claims to be"
)
QUOTE_UNKNOWN = ProblemKind(
    QuoteUnknownError.code, HTTPStatus.NOT_FOUND, "There is no quote of this instrument"
)
TOO_MANY_SUBSCRIBERS = ProblemKind(
    TooManySubscribersError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "As many streams are open as may be",
)
STOPPING = ProblemKind(
    BoardClosedError.code, HTTPStatus.SERVICE_UNAVAILABLE, "The service is stopping"
)
TOKEN_REFUSED = ProblemKind(
    TokenRefusedError.code, HTTPStatus.UNAUTHORIZED, "This needs a valid token"
)
SCOPE_MISSING = ProblemKind(
    ScopeMissingError.code, HTTPStatus.FORBIDDEN, "The token is not for this"
)
RATE_EXCEEDED = ProblemKind(
    RateExceededError.code, HTTPStatus.TOO_MANY_REQUESTS, "This actor asks too often"
)
ACCESS_DISABLED = ProblemKind(
    AccessDisabledError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "No tokens are configured, so nobody may do this",
)
KEY_MISSING = ProblemKind(
    KeyMissingError.code, HTTPStatus.BAD_REQUEST, "A transfer needs a key that makes it unique"
)
KEY_INVALID = ProblemKind(
    KeyInvalidError.code, HTTPStatus.BAD_REQUEST, "The key of the transfer cannot be one"
)
KEY_MISMATCH = ProblemKind(
    KeyMismatchError.code, HTTPStatus.BAD_REQUEST, "Header and body name different keys"
)
KEY_REUSED = ProblemKind(
    KeyReusedError.code, HTTPStatus.UNPROCESSABLE_ENTITY, "The key belongs to another transfer"
)
TRANSFER_NOT_FOUND = ProblemKind(
    TransferNotFoundError.code, HTTPStatus.NOT_FOUND, "There is no such transfer"
)
TRANSFER_STATE = ProblemKind(
    TransferStateError.code, HTTPStatus.CONFLICT, "The transfer is in no state to be resolved so"
)
MODE_HALTED = ProblemKind(
    ModeHaltedError.code, HTTPStatus.CONFLICT, "The service is HALTED and spends nothing"
)
KILL_SWITCH = ProblemKind(
    KillSwitchOnError.code, HTTPStatus.SERVICE_UNAVAILABLE, "The kill switch is on"
)
TREASURY_DISABLED = ProblemKind(
    TreasuryDisabledError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "There is no exchange key to move money with",
)
STORE_UNAVAILABLE = ProblemKind(
    StoreUnavailableError.code, HTTPStatus.SERVICE_UNAVAILABLE, "The ledger's store does not answer"
)
LEDGER_DAMAGED = ProblemKind(
    LedgerDamagedError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The ledger is damaged; nothing is written to it until it is repaired",
)
LEDGER_TOO_NEW = ProblemKind(
    LedgerTooNewError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "A newer version of the service has written to the ledger",
)
KIND_BY_RULE: dict[LimitRule, ProblemKind] = {
    rule: ProblemKind(rule.value, HTTPStatus.UNPROCESSABLE_ENTITY, title)
    for rule, title in {
        LimitRule.DIRECTION_NOT_ALLOWED: "Money may not be moved in this direction",
        LimitRule.BELOW_MIN: "The amount is below the smallest one",
        LimitRule.ABOVE_MAX: "The amount is above the largest one",
        LimitRule.OVER_DAILY_CAP: "The amount is more than what is left of today's cap",
    }.items()
}
"""Transfers that a rule has refused; the refusal is the answer to their keys for ever."""

KIND_BY_ERROR: dict[type[ChimeraError], ProblemKind] = {
    InvalidValueError: VALUE_INVALID,
    RequestInvalidError: REQUEST_INVALID,
    MediaTypeError: MEDIA_TYPE,
    QuoteUnknownError: QUOTE_UNKNOWN,
    TooManySubscribersError: TOO_MANY_SUBSCRIBERS,
    BoardClosedError: STOPPING,
    ServiceStoppingError: STOPPING,
    TokenRefusedError: TOKEN_REFUSED,
    ScopeMissingError: SCOPE_MISSING,
    RateExceededError: RATE_EXCEEDED,
    AccessDisabledError: ACCESS_DISABLED,
    KeyMissingError: KEY_MISSING,
    KeyInvalidError: KEY_INVALID,
    KeyMismatchError: KEY_MISMATCH,
    KeyReusedError: KEY_REUSED,
    TransferNotFoundError: TRANSFER_NOT_FOUND,
    TransferStateError: TRANSFER_STATE,
    ModeHaltedError: MODE_HALTED,
    KillSwitchOnError: KILL_SWITCH,
    TreasuryDisabledError: TREASURY_DISABLED,
    StoreUnavailableError: STORE_UNAVAILABLE,
    AppendUncertainError: STORE_UNAVAILABLE,
    LedgerDamagedError: LEDGER_DAMAGED,
    LedgerTooNewError: LEDGER_TOO_NEW,
}
PROBLEM_KINDS = tuple(
    dict.fromkeys(
        (
            REQUEST_INVALID,
            NOT_FOUND,
            METHOD_NOT_ALLOWED,
            REQUEST_TOO_LARGE,
            NOT_READY,
            INTERNAL,
            *KIND_BY_ERROR.values(),
            *KIND_BY_RULE.values(),
        )
    )
)
