"""`/xchg/orders/open`, `/xchg/positions`, `/xchg/balances`, `/xchg/reconcile`: the account."""

from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example, Tag
from litestar.params import QueryParameter

from chimera_s1.app.capabilities.execution.entries.use_cases import Entries
from chimera_s1.app.capabilities.execution.read_account import ReadAccount
from chimera_s1.app.capabilities.execution.web.entry_problems import ENTRY_KINDS, KIND_BY_RULE
from chimera_s1.app.capabilities.execution.web.entry_routes import (
    FuturesEntriesController,
    SpotEntriesController,
)
from chimera_s1.app.capabilities.execution.web.problems import (
    ACCOUNT_UNREAD,
    EXECUTION_DISABLED,
    KIND_BY_ERROR,
    RECONCILIATION_PENDING,
)
from chimera_s1.app.capabilities.execution.web.reconciliation_schemas import ReconciliationView
from chimera_s1.app.capabilities.execution.web.schemas import (
    BalanceListView,
    BalanceView,
    OpenOrderListView,
    OpenOrderView,
    PositionListView,
    PositionView,
    ReadTimes,
)
from chimera_s1.app.web.problem_kinds import ACCESS_DISABLED, REQUEST_INVALID
from chimera_s1.app.web.problems import problem_spec
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.verification import Actor
from chimera_s1.domain.identifiers import Venue

ORDERS_MAX = 1_000


class AccountController(Controller):
    """The account, whoever placed its orders. From memory: the private streams and a
    reconciliation each minute keep it up to date.
    """

    path = "/xchg"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("account",)

    @get(
        "/orders/open",
        operation_id="list_open_orders",
        summary="Open orders, algo orders and order lists of the account",
        responses={
            400: problem_spec(REQUEST_INVALID),
            503: problem_spec(EXECUTION_DISABLED, ACCOUNT_UNREAD),
        },
        sync_to_thread=False,
    )
    def list_open_orders(
        self,
        read_account: NamedDependency[ReadAccount],
        venue: Annotated[
            Venue | None,
            QueryParameter(
                description="Only this venue.", examples=[Example(value=Venue.PERP.value)]
            ),
        ] = None,
        limit: Annotated[
            int,
            QueryParameter(
                description="Orders that are listed; `total` counts all.",
                ge=1,
                le=ORDERS_MAX,
                examples=[Example(value=100)],
            ),
        ] = ORDERS_MAX,
    ) -> OpenOrderListView:
        """Those of others are shown, and never touched."""
        rows = read_account.open_orders(venue)
        ordered = sorted(rows, key=lambda row: not row.ours)
        return OpenOrderListView(
            read_at=ReadTimes.of(read_account.read_ms()),
            total=len(ordered),
            orders=tuple(map(OpenOrderView.of, ordered[:limit])),
        )

    @get(
        "/positions",
        operation_id="list_positions",
        summary="Futures positions of the account",
        responses={503: problem_spec(EXECUTION_DISABLED, ACCOUNT_UNREAD)},
        sync_to_thread=False,
    )
    def list_positions(self, read_account: NamedDependency[ReadAccount]) -> PositionListView:
        """Each beside the quantity that the recorded trades give."""
        rows = read_account.positions()
        return PositionListView(
            read_at=ReadTimes.of(read_account.read_ms()),
            positions=tuple(map(PositionView.of, rows)),
        )

    @get(
        "/balances",
        operation_id="list_balances",
        summary="Balances of the spot and the futures wallet",
        responses={503: problem_spec(EXECUTION_DISABLED, ACCOUNT_UNREAD)},
        sync_to_thread=False,
    )
    def list_balances(self, read_account: NamedDependency[ReadAccount]) -> BalanceListView:
        """Assets that are not 0."""
        rows = read_account.balances()
        return BalanceListView(
            read_at=ReadTimes.of(read_account.read_ms()),
            balances=tuple(map(BalanceView.of, rows)),
        )

    @post(
        "/reconcile",
        opt={"scope": Scope.ORDERS_TRADE},
        operation_id="reconcile",
        summary="Compare the account with the execution ledger now",
        response_description="What matched, what was repaired, what is foreign, what differs",
        responses={503: problem_spec(EXECUTION_DISABLED, RECONCILIATION_PENDING, ACCESS_DISABLED)},
        status_code=200,
    )
    async def reconcile(
        self, read_account: NamedDependency[ReadAccount], actor: NamedDependency[Actor]
    ) -> ReconciliationView:
        """A round of its own, which also reads the trades. Orders of ours are brought up to date;
        nothing is placed or cancelled. It may take some seconds. Never blocked by a trading mode
        or the kill switch.
        """
        return ReconciliationView.of(await read_account.reconcile(f"asked by {actor.name}"))


def execution_part(read_account: ReadAccount, entries: Entries) -> WebPart:
    return WebPart(
        routes=(AccountController, FuturesEntriesController, SpotEntriesController),
        dependencies={"read_account": read_account, "entries": entries},
        kind_by_error={**KIND_BY_ERROR, **ENTRY_KINDS},
        other_kinds=tuple(KIND_BY_RULE.values()),
        tags=(
            Tag(
                name="account",
                description="Open orders, positions and balances of the account, and their "
                "comparison with the execution ledger.",
            ),
            Tag(
                name="entries",
                description="Entries with their protection, on futures and on spot; each key "
                "places its orders at most once.",
            ),
        ),
    )
