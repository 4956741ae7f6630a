"""Port: the perpetual contracts as the registry has applied them."""

from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import Symbol


class PerpetualContract(Struct, frozen=True, kw_only=True, gc=False):
    """Attributes:
    trades: It is listed, with status TRADING.
    onboard_date: Epoch ms; None where the venue says none.
    delivery_date: When it is delisted, epoch ms; on one that stays, far in the future.
    funding_interval_h: None where it is not known.
    """

    symbol: Symbol
    trades: bool
    onboard_date: int | None
    delivery_date: int | None
    funding_interval_h: int | None


class ContractReader(Protocol):
    """Reads memory."""

    def perpetual_contracts(self) -> tuple[PerpetualContract, ...]:
        """Also those that were delisted; empty before the first listing is known."""
        ...
