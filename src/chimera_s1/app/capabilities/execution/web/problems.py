"""Problems of the account routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.execution.read_account import (
    AccountUnreadError,
    ExecutionDisabledError,
    ReconciliationPendingError,
)
from chimera_s1.app.web.problem_kinds import KindByError, ProblemKind

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
KIND_BY_ERROR: KindByError = {
    ExecutionDisabledError: EXECUTION_DISABLED,
    AccountUnreadError: ACCOUNT_UNREAD,
    ReconciliationPendingError: RECONCILIATION_PENDING,
}
