"""HTTP routes of market data."""

from litestar.openapi.spec import Tag

from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.web.problems import KIND_BY_ERROR
from chimera_s1.app.capabilities.market.web.routes import QuotesController
from chimera_s1.app.web.web_part import WebPart


def market_part(board: QuoteBoard) -> WebPart:
    return WebPart(
        routes=(QuotesController,),
        dependencies={"quote_board": board},
        kind_by_error=KIND_BY_ERROR,
        tags=(Tag(name="quotes", description="Published quotes, newest first."),),
        end_streams=board.close,
    )
