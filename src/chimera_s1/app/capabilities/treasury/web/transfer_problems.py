"""Responses of `POST /xchg/treasury/transfer`: a transfer, or a problem with the same fields."""

from http import HTTPStatus
from typing import Any, assert_never
from urllib.parse import quote

from litestar import Response
from msgspec import structs

from chimera_s1.app.capabilities.ledger.problems import LEDGER_DAMAGED, LEDGER_TOO_NEW
from chimera_s1.app.capabilities.operations.web.problems import (
    KILL_SWITCH,
    MODE_HALTED,
    MODE_UNKNOWN,
)
from chimera_s1.app.capabilities.treasury.accept_transfers import TransferOutcome
from chimera_s1.app.capabilities.treasury.web.problems import (
    ACCOUNT_NOT_CLAIMED,
    EXCHANGE_MAINTENANCE,
    KIND_BY_RULE,
    TREASURY_DISABLED,
)
from chimera_s1.app.capabilities.treasury.web.transfer_response import (
    Result,
    TransferProblemView,
    TransferResponse,
)
from chimera_s1.app.web.idempotency_key import (
    KEY_HEADER,
    KeyInvalidError,
    key_from_headers,
)
from chimera_s1.app.web.problem_kinds import INTERNAL, STOPPING, STORE_UNAVAILABLE
from chimera_s1.app.web.problems import (
    AnyRequest,
    classify_error,
    error_headers,
    problem_reply,
    problem_view,
)
from chimera_s1.app.web.schemas import ProblemView
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.transfer import TransferStatus

TRANSFER_PATH = "/xchg/treasury/transfer"
REPLAYED = "Idempotent-Replayed"

_KEY = "transfer_id"
_NOT_ACCEPTED_KINDS = {
    KILL_SWITCH,
    TREASURY_DISABLED,
    STOPPING,
    MODE_HALTED,
    MODE_UNKNOWN,
    EXCHANGE_MAINTENANCE,
}
# Another ledger may know the key where this one may not move the account's money.
_UNCERTAIN_KINDS = {
    ACCOUNT_NOT_CLAIMED,
    STORE_UNAVAILABLE,
    LEDGER_DAMAGED,
    LEDGER_TOO_NEW,
    INTERNAL,
}


def remember_key(request: AnyRequest, key: TransferId) -> None:
    """Keep the key for a later problem with *request*."""
    request.state[_KEY] = key


def transfer_reply(request: AnyRequest, outcome: TransferOutcome) -> Response[Any]:
    """200 for a transfer that has ended, 202 for a pending one, 422 for one that a rule refused."""
    transfer = outcome.transfer
    if transfer.rule is not None:
        kind = KIND_BY_RULE[transfer.rule]
        view = problem_view(kind, transfer.message, request)
        problem = _transfer_problem_view(view, request, Result.FAIL)
        return problem_reply(kind, problem, _headers(outcome))
    return Response(
        TransferResponse.of(transfer),
        status_code=_status(transfer.status),
        headers=_headers(outcome),
    )


def transfer_problem(request: AnyRequest, error: Exception) -> Response[TransferProblemView]:
    """The problem that *error* is."""
    kind, view = classify_error(request, error)
    if kind in _NOT_ACCEPTED_KINDS:
        view = _with_hint(view, "nothing was accepted; the same request may be sent again")
    if kind in _UNCERTAIN_KINDS:
        view = _with_hint(
            view,
            "acceptance is unknown; retry with the same key, never with a new one",
        )
    # FAIL would mean that no money moves: the client might retry with a new key.
    result = Result.PENDING if kind in _UNCERTAIN_KINDS else Result.FAIL
    return problem_reply(kind, _transfer_problem_view(view, request, result), error_headers(error))


def _headers(answer: TransferOutcome) -> dict[str, str]:
    key = quote(answer.transfer.transfer_id, safe=":@+=,")
    replayed = {REPLAYED: "true"} if answer.replayed else {}
    return {"Location": f"{TRANSFER_PATH}/{key}", **replayed}


def _status(status: TransferStatus) -> HTTPStatus:
    match status:
        case TransferStatus.DONE | TransferStatus.FAILED:
            return HTTPStatus.OK
        case TransferStatus.PENDING:
            return HTTPStatus.ACCEPTED
        case _:
            assert_never(status)


def _with_hint(view: ProblemView, sentence: str) -> ProblemView:
    return structs.replace(view, detail=f"{view.detail}; {sentence}")


def _transfer_problem_view(
    view: ProblemView, request: AnyRequest, result: Result
) -> TransferProblemView:
    return TransferProblemView(
        **structs.asdict(view),
        transfer_id=_known_key(request),
        result=result,
        message=view.detail,
    )


def _known_key(request: AnyRequest) -> str:
    """The key from the body, else from the headers; empty if there is no valid one."""
    remembered: str = request.state.get(_KEY, "")
    if remembered:
        return remembered
    try:
        return key_from_headers(request.headers.getall(KEY_HEADER, [])) or ""
    except KeyInvalidError:
        return ""
