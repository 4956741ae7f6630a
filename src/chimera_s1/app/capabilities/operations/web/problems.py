"""Problems of the operations routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.operations.run_jobs import (
    JobElsewhereError,
    JobRunningError,
    UnknownJobError,
)
from chimera_s1.app.web.problem_kinds import ProblemKind

NOT_READY = ProblemKind(
    "service.not_ready",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "A required component is RED",
)
JOB_UNKNOWN = ProblemKind(UnknownJobError.code, HTTPStatus.NOT_FOUND, "The job does not exist")
JOB_RUNNING = ProblemKind(JobRunningError.code, HTTPStatus.CONFLICT, "The job is running")
JOB_ELSEWHERE = ProblemKind(
    JobElsewhereError.code, HTTPStatus.CONFLICT, "Another instance runs the job"
)
