"""Problems of the operations routes, and of the trading gate."""

from http import HTTPStatus

from chimera_s1.app.capabilities.operations.handle_dead_letters import (
    NotReplayableError,
    ReplayFailedError,
    UnknownLetterError,
)
from chimera_s1.app.capabilities.operations.run_jobs import (
    JobElsewhereError,
    JobRunningError,
    UnknownJobError,
)
from chimera_s1.app.web.problem_kinds import KindByError, ProblemKind
from chimera_s1.domain.operations.trading_gate import (
    KillSwitchOnError,
    ModeHaltedError,
    ModeManageOnlyError,
    ModeUnknownError,
)

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
LETTER_UNKNOWN = ProblemKind(
    UnknownLetterError.code, HTTPStatus.NOT_FOUND, "The dead letter does not exist"
)
LETTER_NOT_REPLAYABLE = ProblemKind(
    NotReplayableError.code, HTTPStatus.CONFLICT, "The dead letter cannot be replayed"
)
REPLAY_FAILED = ProblemKind(
    ReplayFailedError.code, HTTPStatus.CONFLICT, "The payload was not delivered; the letter stays"
)
KILL_SWITCH = ProblemKind(
    KillSwitchOnError.code, HTTPStatus.SERVICE_UNAVAILABLE, "The kill switch is on"
)
MODE_HALTED = ProblemKind(ModeHaltedError.code, HTTPStatus.CONFLICT, "Trading is HALTED")
MODE_MANAGE_ONLY = ProblemKind(
    ModeManageOnlyError.code, HTTPStatus.CONFLICT, "Only positions are managed, nothing is opened"
)
MODE_UNKNOWN = ProblemKind(
    ModeUnknownError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Whether trading is halted is not known yet",
)

GATE_KINDS: KindByError = {
    KillSwitchOnError: KILL_SWITCH,
    ModeHaltedError: MODE_HALTED,
    ModeManageOnlyError: MODE_MANAGE_ONLY,
    ModeUnknownError: MODE_UNKNOWN,
}
"""For every capability with a use case that spends."""
