"""`/xchg/mode`: show the trading mode, halt and resume trading."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import RawBody

from chimera_s1.app.capabilities.ledger.problems import KIND_BY_ERROR as LEDGER_KINDS
from chimera_s1.app.capabilities.ledger.problems import LEDGER_DAMAGED, LEDGER_TOO_NEW
from chimera_s1.app.capabilities.operations.web.problems import GATE_KINDS
from chimera_s1.app.capabilities.trading_mode.halt_ledger import HaltLedger
from chimera_s1.app.capabilities.trading_mode.read_mode import ReadMode
from chimera_s1.app.capabilities.trading_mode.web.mode_request import (
    ModeOperation,
    read_mode_request,
)
from chimera_s1.app.capabilities.trading_mode.web.schemas import ModeView
from chimera_s1.app.web.problem_kinds import (
    ACCESS_DISABLED,
    CONTENT_CODING,
    MEDIA_TYPE,
    REQUEST_INVALID,
    STORE_UNAVAILABLE,
)
from chimera_s1.app.web.problems import AnyRequest, problem_spec
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.verification import Actor


class ModeController(Controller):
    """The trading mode of all instances, and what this one refuses."""

    path = "/xchg/mode"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("mode",)

    @get(
        operation_id="read_mode",
        summary="Trading mode, kill switch, and what they refuse now",
        sync_to_thread=False,
    )
    def read_mode(self, read_mode: NamedDependency[ReadMode]) -> ModeView:
        """From memory. A halt of another instance is seen within two seconds."""
        return ModeView.of(read_mode.current())

    @post(
        opt={"scope": Scope.MODE_HALT},
        operation_id="set_mode",
        operation_class=ModeOperation,
        summary="Halt or resume trading, for all instances",
        response_description="The mode after it",
        responses={
            400: problem_spec(REQUEST_INVALID),
            415: problem_spec(MEDIA_TYPE, CONTENT_CODING),
            503: problem_spec(STORE_UNAVAILABLE, LEDGER_DAMAGED, LEDGER_TOO_NEW, ACCESS_DISABLED),
        },
        status_code=200,
    )
    async def set_mode(
        self,
        request: AnyRequest,
        body: RawBody,
        halt_ledger: NamedDependency[HaltLedger],
        read_mode: NamedDependency[ReadMode],
        actor: NamedDependency[Actor],
    ) -> ModeView:
        """HALTED refuses transfers and new entries; stops, closes, cancels and reconciliation go
        on. It is stored with the reason and the actor, and survives restarts. Where it is so
        already, nothing changes. The kill switch is another thing: only Redis changes it.
        """
        wanted = read_mode_request(request.headers.get("content-type", ""), body)
        await halt_ledger.set(
            halted=wanted.halted, reason=wanted.reason, actor=f"{actor.name}/{actor.kid}"
        )
        return ModeView.of(read_mode.current())


def mode_part(halt_ledger: HaltLedger, read_mode: ReadMode) -> WebPart:
    return WebPart(
        routes=(ModeController,),
        dependencies={"halt_ledger": halt_ledger, "read_mode": read_mode},
        kind_by_error={**LEDGER_KINDS, **GATE_KINDS},
        tags=(
            Tag(
                name="mode",
                description="What may be spent: the trading mode, and the kill switch.",
            ),
        ),
    )
