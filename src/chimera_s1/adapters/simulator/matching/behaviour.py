"""How the matching behaves where Binance's own behaviour varies or is not documented."""

from decimal import Decimal

from msgspec import Struct


class MatchingBehaviour(Struct, frozen=True, kw_only=True):
    """May be replaced at any time.

    Attributes:
        query_lag_ms: Age at which orders, their changes and trades appear in queries.
        gtx_expires: A post-only order that would take is accepted and EXPIRED; else -5022, and no
            record of it.
        algo_event_first: The algo order's TRIGGERED comes before the events of its child.
        child_takes_client_id: The child's client id is its algo order's; else the exchange's.
        pays_in_bnb: Commission is taken in BNB where the wallet has enough.
        duplicate_algo_code: Error of a `clientAlgoId` that an open algo order has.
        reduce_only_algos_expire: A reduce-only algo order ends with the position that it was for;
            else it stays open.
        price_range: How far, as a part of the last price, a market order may reach.
        liquidity: The part of each level of a book that can be taken; 0 leaves nothing to match.
    """

    query_lag_ms: int = 0
    gtx_expires: bool = False
    algo_event_first: bool = True
    child_takes_client_id: bool = True
    pays_in_bnb: bool = False
    duplicate_algo_code: int = -4116
    reduce_only_algos_expire: bool = True
    price_range: Decimal = Decimal("0.05")
    liquidity: Decimal = Decimal(1)


class CurrentBehaviour:
    """The behaviour of both desks; *value* may be replaced at any time."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = MatchingBehaviour()
