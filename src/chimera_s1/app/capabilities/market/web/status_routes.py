"""`/xchg/status`: what `mkt:status:*` says now, from the memory of the instance that asks."""

from litestar import Controller, get
from litestar.di import NamedDependency

from chimera_s1.app.capabilities.market.current_status import CurrentStatus
from chimera_s1.app.capabilities.market.web.instrument_parameters import (
    SymbolInPath,
    VenueInPath,
    instrument_in_path,
)
from chimera_s1.app.capabilities.market.web.problems import STATUS_UNKNOWN, StatusUnknownError
from chimera_s1.app.capabilities.market.web.schemas import StatusListView, StatusView
from chimera_s1.app.web.problem_kinds import REQUEST_INVALID, VALUE_INVALID
from chimera_s1.app.web.problems import problem_spec
from chimera_s1.domain.access.scopes import Scope


class StatusController(Controller):
    """States from memory: those of the quotes of `/xchg/quotes`."""

    path = "/xchg/status"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("quotes",)

    @get(
        operation_id="list_statuses",
        summary="The state of each instrument, and of whole connections",
        sync_to_thread=False,
    )
    def list_statuses(self, current_status: NamedDependency[CurrentStatus]) -> StatusListView:
        """What the entries of `mkt:status:spot` and `mkt:status:perp` say now.

        Each instrument of this instance has one row, in which what concerns its whole connection is
        included. Rows with the symbol `*` come first: interruptions that last (GAP), and
        connections that are LATE or DEGRADED. A standby shows the states of its own connections.
        """
        return StatusListView.of(current_status)

    @get(
        "/{venue:str}/{symbol:str}",
        operation_id="read_status",
        summary="The state of one instrument",
        responses={
            400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
            404: problem_spec(STATUS_UNKNOWN),
        },
        sync_to_thread=False,
    )
    def read_status(
        self,
        current_status: NamedDependency[CurrentStatus],
        venue: VenueInPath,
        symbol: SymbolInPath,
    ) -> StatusView:
        """The state of its quotes; what concerns its whole connection is included."""
        instrument = instrument_in_path(venue, symbol)
        status = current_status.of(instrument)
        if status is None:
            raise StatusUnknownError(
                f"this instance does not serve {instrument}: it is not in S1_SYMBOLS, another "
                "shard serves it (S1_SHARD), or the venue's listing has not been read yet "
                "(see /health)"
            )
        return StatusView.of(status)
