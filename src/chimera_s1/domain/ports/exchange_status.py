"""Port: whether the exchange is in maintenance."""

from typing import Protocol

from msgspec import Struct


class ExchangeStatus(Struct, frozen=True, kw_only=True):
    """Attributes:
    maintenance: Transfers are not executed now.
    unknown: The exchange sent a value that it does not document.
    message: The exchange's own words.
    """

    maintenance: bool = False
    unknown: bool = False
    message: str = ""


class ExchangeStatusReader(Protocol):
    async def exchange_status(self) -> ExchangeStatus:
        """Read the current status.

        Raises:
            ExchangeUnavailableError: No usable answer; the same call may succeed later.
            ExchangeRefusedError: The exchange rejects the request.
        """
        ...
