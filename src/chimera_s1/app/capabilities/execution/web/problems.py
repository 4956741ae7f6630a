"""Problems of the account routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.execution.place_orders import (
    AccountNotClaimedError,
    VenueNotServedError,
)
from chimera_s1.app.capabilities.execution.read_account import (
    AccountUnreadError,
    ExecutionDisabledError,
    ReconciliationPendingError,
)
from chimera_s1.app.web.problem_kinds import KindByError, ProblemKind
from chimera_s1.domain.errors import OtherAccountError

EXECUTION_DISABLED = ProblemKind(
    ExecutionDisabledError.code, HTTPStatus.SERVICE_UNAVAILABLE, "No exchange key is configured"
)
ACCOUNT_UNREAD = ProblemKind(
    AccountUnreadError.code, HTTPStatus.SERVICE_UNAVAILABLE, "The account was not read yet"
)
RECONCILIATION_PENDING = ProblemKind(
    ReconciliationPendingError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The reconciliation has not ended yet",
)
OTHER_ACCOUNT = ProblemKind(
    OtherAccountError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The exchange key belongs to another account than the execution ledger",
)
ACCOUNT_NOT_CLAIMED = ProblemKind(
    AccountNotClaimedError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "This installation may open nothing on the account",
)
VENUE_NOT_SERVED = ProblemKind(
    VenueNotServedError.code,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "This instance does not serve the venue",
)
KIND_BY_ERROR: KindByError = {
    ExecutionDisabledError: EXECUTION_DISABLED,
    AccountUnreadError: ACCOUNT_UNREAD,
    ReconciliationPendingError: RECONCILIATION_PENDING,
    OtherAccountError: OTHER_ACCOUNT,
    AccountNotClaimedError: ACCOUNT_NOT_CLAIMED,
    VenueNotServedError: VENUE_NOT_SERVED,
}
