"""`/xchg/treasury`: request, read and resolve transfers."""

import re
from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter, RawBody

from chimera_s1.app.capabilities.ledger.problems import LEDGER_DAMAGED, LEDGER_TOO_NEW
from chimera_s1.app.capabilities.treasury.accept_transfers import AcceptTransfers
from chimera_s1.app.capabilities.treasury.read_transfers import PAGE_MAX, ReadTransfers
from chimera_s1.app.capabilities.treasury.resolve_transfers import ResolveTransfers
from chimera_s1.app.capabilities.treasury.web.openapi import (
    KEY_EXAMPLE,
    TRANSFER_RESPONSES,
    ResolveOperation,
    TransferOperation,
)
from chimera_s1.app.capabilities.treasury.web.problems import TRANSFER_NOT_FOUND, TRANSFER_STATE
from chimera_s1.app.capabilities.treasury.web.schemas import (
    LimitsView,
    TransferListView,
    TransferView,
)
from chimera_s1.app.capabilities.treasury.web.transfer_problems import (
    remember_key,
    transfer_problem,
    transfer_reply,
)
from chimera_s1.app.capabilities.treasury.web.transfer_request import (
    read_resolution,
    read_transfer_fields,
    transfer_request_from,
)
from chimera_s1.app.capabilities.treasury.web.transfer_response import TransferResponse
from chimera_s1.app.web.idempotency_key import (
    KEY_HEADER,
    key_from_headers,
    key_from_request,
)
from chimera_s1.app.web.page_cursor import CURSOR_PATTERN, decode_cursor, encode_cursor
from chimera_s1.app.web.parameters import parse_value
from chimera_s1.app.web.problem_kinds import (
    ACCESS_DISABLED,
    CONTENT_CODING,
    MEDIA_TYPE,
    REQUEST_INVALID,
    STORE_UNAVAILABLE,
    VALUE_INVALID,
)
from chimera_s1.app.web.problems import AnyRequest, problem_spec
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.verification import Actor
from chimera_s1.domain.identifiers import TRANSFER_ID_PATTERN, TransferId, parse_transfer_id
from chimera_s1.domain.ports.transfer_projection import PageMark
from chimera_s1.domain.treasury.transfer import TransferStatus

_MARK = re.compile(r"([0-9]{1,15}) (\S{1,128})")
_CURSOR_EXAMPLE = encode_cursor(f"1772514460893 {KEY_EXAMPLE}")
_TransferId = Annotated[
    str,
    PathParameter(
        description="The idempotency key of the transfer.",
        examples=[Example(value=KEY_EXAMPLE)],
        schema_extra={"pattern": f"^{TRANSFER_ID_PATTERN}$"},
    ),
]


class TreasuryController(Controller):
    """Transfers, read from the ledger."""

    path = "/xchg/treasury"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("treasury",)

    @post(
        "/transfer",
        opt={"scope": Scope.TREASURY_TRANSFER},
        operation_id="request_transfer",
        operation_class=TransferOperation,
        summary="Move USDT between the wallets",
        response_description="Final: OK, the money has moved; FAIL, it has not",
        responses=TRANSFER_RESPONSES,
        exception_handlers={Exception: transfer_problem},
        status_code=200,
    )
    async def request_transfer(
        self,
        request: AnyRequest,
        body: RawBody,
        accept_transfers: NamedDependency[AcceptTransfers],
        actor: NamedDependency[Actor],
    ) -> Response[TransferResponse]:
        """Accepts the transfer once per key, and waits up to 3 s for its result.

        It is always safe to send the same request with the same key: the money is not moved again,
        and the reply shows the state of the transfer. After 202, 429, 500, 503 or no reply, do so,
        waiting longer each time: an earlier request, or this one, may be accepted. After 422 use a
        new key, after another 4xx correct the request. A key stays bound to its transfer for ever,
        even if a rule refused it.
        """
        in_headers = key_from_headers(request.headers.getall(KEY_HEADER, []))
        fields = read_transfer_fields(_media_type(request), body)
        key = key_from_request(in_headers, fields, ("transfer_id",))
        remember_key(request, key)
        answer = await accept_transfers.accept(
            transfer_request_from(key, fields), _actor_text(actor)
        )
        return transfer_reply(request, answer)

    @get(
        "/transfer/{transfer_id:str}",
        operation_id="read_transfer",
        summary="One transfer",
        responses={
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            404: problem_spec(TRANSFER_NOT_FOUND),
            503: problem_spec(STORE_UNAVAILABLE, LEDGER_DAMAGED),
        },
    )
    async def read_transfer(
        self, transfer_id: _TransferId, read_transfers: NamedDependency[ReadTransfers]
    ) -> TransferView:
        """The current state of the transfer, from the ledger."""
        return TransferView.of(await read_transfers.get(_parsed_id(transfer_id)))

    @get(
        "/transfers",
        operation_id="list_transfers",
        summary="Transfers, newest first",
        responses={
            503: problem_spec(STORE_UNAVAILABLE),
        },
    )
    async def list_transfers(
        self,
        read_transfers: NamedDependency[ReadTransfers],
        status: Annotated[
            TransferStatus | None,
            QueryParameter(
                name="state",
                description="Only transfers in this state.",
                examples=[Example(value="PENDING")],
            ),
        ] = None,
        limit: Annotated[
            int,
            QueryParameter(
                description="Transfers per page.",
                ge=1,
                le=PAGE_MAX,
                examples=[Example(value=50)],
            ),
        ] = 50,
        cursor: Annotated[
            str | None,
            QueryParameter(
                description="`next_cursor` of the previous page.",
                schema_extra={"pattern": CURSOR_PATTERN, "examples": [_CURSOR_EXAMPLE]},
            ),
        ] = None,
    ) -> TransferListView:
        """One page; a change of the last second may be missing."""
        before = _read_mark(cursor) if cursor is not None else None
        page = await read_transfers.list_page(limit, status=status, before=before)
        following = _write_mark(page.next_mark) if page.next_mark is not None else ""
        return TransferListView(tuple(map(TransferView.of, page.rows)), following)

    @get(
        "/limits",
        operation_id="read_limits",
        summary="Limits and today's use of the daily cap",
        responses={503: problem_spec(STORE_UNAVAILABLE, LEDGER_DAMAGED)},
    )
    async def read_limits(self, read_transfers: NamedDependency[ReadTransfers]) -> LimitsView:
        """The limits in force, and how much of today's cap all instances have used."""
        return LimitsView.of(await read_transfers.limits_today())

    @post(
        "/transfer/{transfer_id:str}/resolve",
        opt={"scope": Scope.TREASURY_RESOLVE},
        operation_id="resolve_transfer",
        operation_class=ResolveOperation,
        summary="Record the outcome of a transfer that only an operator can decide",
        response_description="The resolved transfer",
        responses={
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            404: problem_spec(TRANSFER_NOT_FOUND),
            409: problem_spec(TRANSFER_STATE),
            415: problem_spec(MEDIA_TYPE, CONTENT_CODING),
            503: problem_spec(STORE_UNAVAILABLE, LEDGER_DAMAGED, LEDGER_TOO_NEW, ACCESS_DISABLED),
        },
        status_code=200,
    )
    async def resolve_transfer(
        self,
        request: AnyRequest,
        transfer_id: _TransferId,
        body: RawBody,
        resolve_transfers: NamedDependency[ResolveTransfers],
        actor: NamedDependency[Actor],
    ) -> TransferView:
        """For an operator who has checked the exchange's transfer history. The ledger records the
        verdict, the evidence and the actor. A FAILED transfer that moved money after all can be
        resolved as DONE.
        """
        resolution = read_resolution(_media_type(request), body)
        transfer = await resolve_transfers.resolve(
            _parsed_id(transfer_id),
            resolution.verdict,
            tran_id=resolution.tran_id,
            note=resolution.evidence,
            actor=_actor_text(actor),
        )
        return TransferView.of(transfer)


def _write_mark(mark: PageMark) -> str:
    return encode_cursor(f"{mark.created_at} {mark.transfer_id}")


def _read_mark(cursor: str) -> PageMark:
    found = decode_cursor(cursor, _MARK)
    return PageMark(int(found[1]), found[2])


def _parsed_id(text: str) -> TransferId:
    return parse_value("transfer_id", parse_transfer_id, text)


def _media_type(request: AnyRequest) -> str:
    media_type: str = request.headers.get("content-type", "")
    return media_type


def _actor_text(actor: Actor) -> str:
    """The actor and the id of its token, as the ledger records them."""
    return f"{actor.name}/{actor.kid}"
