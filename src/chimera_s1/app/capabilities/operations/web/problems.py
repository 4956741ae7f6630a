"""Problems of the operations routes."""

from http import HTTPStatus

from chimera_s1.app.web.problem_kinds import ProblemKind

NOT_READY = ProblemKind(
    "service.not_ready",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "A required component is RED",
)
