"""Problems of the entry routes."""

from http import HTTPStatus

from litestar import Response
from msgspec import structs

from chimera_s1.app.capabilities.execution.entries.accept_entries import EntryKeyReusedError
from chimera_s1.app.capabilities.execution.entries.read_entries import EntryNotFoundError
from chimera_s1.app.capabilities.execution.web.entry_schemas import EntryProblemView
from chimera_s1.app.capabilities.ledger.problems import KIND_BY_ERROR as LEDGER_KINDS
from chimera_s1.app.capabilities.operations.web.problems import GATE_KINDS
from chimera_s1.app.web.idempotency_key import (
    KEY_HEADER,
    KEY_KINDS,
    KeyInvalidError,
    key_from_headers,
)
from chimera_s1.app.web.problem_kinds import (
    EXCHANGE_REFUSED,
    STOPPING,
    KindByError,
    ProblemKind,
)
from chimera_s1.app.web.problems import (
    AnyRequest,
    classify_error,
    error_headers,
    problem_reply,
    problem_view,
)
from chimera_s1.domain.errors import ExchangeRefusedError, ServiceStoppingError
from chimera_s1.domain.execution.entries.admission import EntryRefusedError, EntryRule
from chimera_s1.domain.execution.order_violations import OrderRulesError

ENTRY_NOT_FOUND = ProblemKind(EntryNotFoundError.code, HTTPStatus.NOT_FOUND, "Entry not found")
KEY_REUSED = ProblemKind(
    EntryKeyReusedError.code, HTTPStatus.UNPROCESSABLE_ENTITY, "The key belongs to another entry"
)
ORDER_RULES = ProblemKind(
    OrderRulesError.code,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "An order of the entry breaks a rule of its instrument",
)
ENTRY_REFUSED = ProblemKind(
    EntryRefusedError.code, HTTPStatus.UNPROCESSABLE_ENTITY, "A rule refuses the entry"
)
KIND_BY_RULE: dict[EntryRule, ProblemKind] = {
    rule: ProblemKind(rule.value, HTTPStatus.UNPROCESSABLE_ENTITY, title)
    for rule, title in {
        EntryRule.SYMBOL_UNKNOWN: "The exchange does not list the symbol",
        EntryRule.SYMBOL_NOT_TRADING: "The symbol is not trading",
        EntryRule.SYMBOL_NOT_ALLOWED: "The symbol may not be entered",
        EntryRule.TIMEOUT_RANGE: "The timeout is out of range",
        EntryRule.STOP_SIDE: "The stop is on the wrong side",
        EntryRule.EXIT_NOTIONAL: "The exit would be too small",
        EntryRule.MAX_USDT: "The entry is too large",
        EntryRule.DAILY_CAP: "The entry exceeds what is left of the daily cap",
        EntryRule.QUOTE_AGE: "There is no recent quote",
        EntryRule.SPREAD: "The spread is too wide",
        EntryRule.DEPTH: "The top of book is too thin",
        EntryRule.POSITION_SIDE: "position_side does not fit the account's position mode",
        EntryRule.POSITION_CONFLICT: "A position or an entry of the other side is open",
        EntryRule.CONDITIONAL_ORDERS: "Too many conditional orders are open",
        EntryRule.TRADFI_AGREEMENT: "The TradFi agreement is not signed",
    }.items()
}

ENTRY_KINDS: KindByError = {
    **LEDGER_KINDS,
    **GATE_KINDS,
    ServiceStoppingError: STOPPING,
    **KEY_KINDS,
    ExchangeRefusedError: EXCHANGE_REFUSED,
    EntryNotFoundError: ENTRY_NOT_FOUND,
    EntryKeyReusedError: KEY_REUSED,
    EntryRefusedError: ENTRY_REFUSED,
    OrderRulesError: ORDER_RULES,
}

_KEY = "entry_id"


def remember_key(request: AnyRequest, key: str) -> None:
    """Keep the key for a later problem with *request*."""
    request.state[_KEY] = key


def entry_problem(request: AnyRequest, error: Exception) -> Response[EntryProblemView]:
    """The problem that *error* is; a rule that refuses the entry has a kind of its own."""
    if isinstance(error, EntryRefusedError):
        kind = KIND_BY_RULE[error.rule]
        view = problem_view(kind, str(error), request)
    else:
        kind, view = classify_error(request, error)
    problem = EntryProblemView(**structs.asdict(view), entry_id=_known_key(request))
    return problem_reply(kind, problem, error_headers(error))


def _known_key(request: AnyRequest) -> str:
    """The key from the body, else from the headers; empty if there is no valid one."""
    remembered: str = request.state.get(_KEY, "")
    if remembered:
        return remembered
    try:
        return key_from_headers(request.headers.getall(KEY_HEADER, [])) or ""
    except KeyInvalidError:
        return ""
