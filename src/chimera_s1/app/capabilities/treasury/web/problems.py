"""Problems of the treasury routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.ledger.problems import KIND_BY_ERROR as LEDGER_KINDS
from chimera_s1.app.capabilities.operations.web.problems import GATE_KINDS
from chimera_s1.app.capabilities.treasury.accept_transfers import KeyReusedError
from chimera_s1.app.capabilities.treasury.resolve_transfers import TransferNotFoundError
from chimera_s1.app.capabilities.treasury.transfer_admission import (
    AccountNotClaimedError,
    ExchangeMaintenanceError,
    TreasuryDisabledError,
)
from chimera_s1.app.web.idempotency_key import KEY_KINDS
from chimera_s1.app.web.problem_kinds import STOPPING, KindByError, ProblemKind
from chimera_s1.domain.errors import ServiceStoppingError
from chimera_s1.domain.treasury.decision_context import TransferStateError
from chimera_s1.domain.treasury.limits import LimitRule

KEY_REUSED = ProblemKind(
    KeyReusedError.code, HTTPStatus.UNPROCESSABLE_ENTITY, "The key belongs to another transfer"
)
TRANSFER_NOT_FOUND = ProblemKind(
    TransferNotFoundError.code, HTTPStatus.NOT_FOUND, "Transfer not found"
)
TRANSFER_STATE = ProblemKind(
    TransferStateError.code,
    HTTPStatus.CONFLICT,
    "The transfer cannot be resolved in its current state",
)
ACCOUNT_NOT_CLAIMED = ProblemKind(
    AccountNotClaimedError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "This ledger may not move the account's money",
)
EXCHANGE_MAINTENANCE = ProblemKind(
    ExchangeMaintenanceError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The exchange is in maintenance",
)
TREASURY_DISABLED = ProblemKind(
    TreasuryDisabledError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "No exchange key is configured",
)
KIND_BY_RULE: dict[LimitRule, ProblemKind] = {
    rule: ProblemKind(rule.value, HTTPStatus.UNPROCESSABLE_ENTITY, title)
    for rule, title in {
        LimitRule.DIRECTION_NOT_ALLOWED: "Transfers in this direction are not allowed",
        LimitRule.BELOW_MIN: "The amount is below the minimum",
        LimitRule.ABOVE_MAX: "The amount is above the maximum",
        LimitRule.OVER_DAILY_CAP: "The amount exceeds what is left of the daily cap",
    }.items()
}
"""A transfer refused by a rule stays refused: the same key gets the same answer."""

KIND_BY_ERROR: KindByError = {
    **LEDGER_KINDS,
    **GATE_KINDS,
    ServiceStoppingError: STOPPING,
    **KEY_KINDS,
    KeyReusedError: KEY_REUSED,
    TransferNotFoundError: TRANSFER_NOT_FOUND,
    TransferStateError: TRANSFER_STATE,
    AccountNotClaimedError: ACCOUNT_NOT_CLAIMED,
    ExchangeMaintenanceError: EXCHANGE_MAINTENANCE,
    TreasuryDisabledError: TREASURY_DISABLED,
}
