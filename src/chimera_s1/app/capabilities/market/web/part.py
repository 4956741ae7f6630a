"""HTTP routes of market data."""

from litestar.openapi.spec import Tag

from chimera_s1.app.capabilities.market.current_status import CurrentStatus
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.web.problems import KIND_BY_ERROR
from chimera_s1.app.capabilities.market.web.routes import QuotesController
from chimera_s1.app.capabilities.market.web.status_routes import StatusController
from chimera_s1.app.web.web_part import WebPart


def market_part(board: QuoteBoard, status: CurrentStatus) -> WebPart:
    return WebPart(
        routes=(QuotesController, StatusController),
        dependencies={"quote_board": board, "current_status": status},
        kind_by_error=KIND_BY_ERROR,
        tags=(
            Tag(
                name="quotes",
                description="The newest published quotes and their states, at once or as a "
                "stream; the same values are on `mkt:events:*` and `mkt:status:*`.",
            ),
        ),
        end_streams=board.close,
    )
