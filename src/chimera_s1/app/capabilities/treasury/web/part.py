"""HTTP routes of the treasury."""

from litestar.openapi.spec import Tag

from chimera_s1.app.capabilities.treasury.accept_transfers import AcceptTransfers
from chimera_s1.app.capabilities.treasury.read_transfers import ReadTransfers
from chimera_s1.app.capabilities.treasury.resolve_transfers import ResolveTransfers
from chimera_s1.app.capabilities.treasury.web.problems import KIND_BY_ERROR, KIND_BY_RULE
from chimera_s1.app.capabilities.treasury.web.routes import TreasuryController
from chimera_s1.app.web.web_part import WebPart


def treasury_part(
    accept: AcceptTransfers, read: ReadTransfers, resolve: ResolveTransfers
) -> WebPart:
    return WebPart(
        routes=(TreasuryController,),
        dependencies={
            "accept_transfers": accept,
            "read_transfers": read,
            "resolve_transfers": resolve,
        },
        kind_by_error=KIND_BY_ERROR,
        other_kinds=tuple(KIND_BY_RULE.values()),
        tags=(
            Tag(
                name="treasury",
                description="Transfers of USDT between wallets `SPOT` and `FUT` of the account; "
                "each key moves money at most once.",
            ),
        ),
    )
