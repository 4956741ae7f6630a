"""Problems of a ledger and its store."""

from http import HTTPStatus

from chimera_s1.app.web.problem_kinds import STORE_UNAVAILABLE, KindByError, ProblemKind
from chimera_s1.domain.errors import (
    AppendUncertainError,
    LedgerDamagedError,
    LedgerTooNewError,
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
KIND_BY_ERROR: KindByError = {
    AppendUncertainError: STORE_UNAVAILABLE,
    LedgerDamagedError: LEDGER_DAMAGED,
    LedgerTooNewError: LEDGER_TOO_NEW,
}
