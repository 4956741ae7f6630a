"""Problems of the funding routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.funding.read_funding import ContractUnknownError
from chimera_s1.app.web.problem_kinds import KindByError, ProblemKind
from chimera_s1.domain.errors import ChimeraError


class NoBackfillError(ChimeraError):
    """No backfill was requested yet."""

    code = "funding.no_backfill"


CONTRACT_UNKNOWN = ProblemKind(
    ContractUnknownError.code, HTTPStatus.NOT_FOUND, "There is no such contract"
)
NO_BACKFILL = ProblemKind(
    NoBackfillError.code, HTTPStatus.NOT_FOUND, "No backfill was requested yet"
)
KIND_BY_ERROR: KindByError = {
    ContractUnknownError: CONTRACT_UNKNOWN,
    NoBackfillError: NO_BACKFILL,
}
