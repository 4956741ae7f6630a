"""Problems of the treasury routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.ledger.problems import KIND_BY_ERROR as LEDGER_KINDS
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
from chimera_s1.app.web.problem_kinds import STOPPING, KindByError, ProblemKind
from chimera_s1.domain.treasury.decision_context import TransferStateError
from chimera_s1.domain.treasury.limits import LimitRule

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

KIND_BY_ERROR: KindByError = {
    **LEDGER_KINDS,
    ServiceStoppingError: STOPPING,
    KeyMissingError: KEY_MISSING,
    KeyInvalidError: KEY_INVALID,
    KeyMismatchError: KEY_MISMATCH,
    KeyReusedError: KEY_REUSED,
    TransferNotFoundError: TRANSFER_NOT_FOUND,
    TransferStateError: TRANSFER_STATE,
    ModeHaltedError: MODE_HALTED,
    KillSwitchOnError: KILL_SWITCH,
    TreasuryDisabledError: TREASURY_DISABLED,
}
