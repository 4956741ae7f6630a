"""HTTP routes of funding."""

from litestar.openapi.spec import Tag

from chimera_s1.app.capabilities.funding.read_funding import ReadFunding
from chimera_s1.app.capabilities.funding.web.backfill_routes import BackfillController, Backfills
from chimera_s1.app.capabilities.funding.web.problems import KIND_BY_ERROR
from chimera_s1.app.capabilities.funding.web.routes import FundingController
from chimera_s1.app.web.web_part import WebPart


def funding_part(read: ReadFunding, backfills: Backfills) -> WebPart:
    return WebPart(
        routes=(FundingController, BackfillController),
        dependencies={"read_funding": read, "backfills": backfills},
        kind_by_error=KIND_BY_ERROR,
        tags=(
            Tag(
                name="funding",
                description="Funding settlements of all perpetual contracts, and what the account "
                "paid and received; the same values are in `funding_records`.",
            ),
        ),
    )
